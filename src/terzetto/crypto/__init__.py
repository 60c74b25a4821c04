"""Keys in, bytes out: ciphers, key derivation, password proofs. Pure, and one idea to a file.

=================== =======================================================================
``aes_ctr``         AES in counter mode with one kept context per key (RIST PSK, SRT)
``aead``            what ciphers that authenticate as well have in common
``aes_gcm``         AES-GCM, likewise kept (SRT, SRTP, RIST Advanced)
``chacha20``        ChaCha20-Poly1305 (RIST Advanced)
``key_wrap``        one key enciphered with another (SRT)
``pbkdf2``          a key from a passphrase (RIST PSK, SRT)
``srp_group``       the primes and generators that SRP computes in
``srp``             SRP-6a over Python integers, in every dialect that RIST peers speak
``zero_state_sha``  SHA-256 started from zeros, which one of those dialects needs
``verifier``        the file of user names and SRP verifiers that libRIST's tools read and write
=================== =======================================================================
"""
