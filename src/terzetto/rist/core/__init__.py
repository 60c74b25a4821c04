"""The rules of RIST, as small machines that own no clock, socket or randomness.

Inward of the translator (``simple``) everything speaks the values of ``vocabulary``, so nothing here but the
translator knows which profile is on the wire::

    receiver   = association + source_clock + playout + missing + sizing + round_trip + reports
    sender     = association + history + repeats + tail_probe + round_trip + reports

The Main profile's tunnel has machines of its own, which its translator puts together::

    keys       = psk_sender | psk_receiver + psk_evidence + replay_window, over psk_keys
    login      = srp_authenticatee | srp_authenticator + srp_users + guess_limiter, over srp_dialects,
                 each with a passphrase_exchange
    tunnel     = gre_session (revisions, sequence, keepalives) + null_packets
"""
