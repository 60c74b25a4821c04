from __future__ import annotations

from terzetto.crypto.pbkdf2 import derive_key


def test_the_example_of_rfc_7914() -> None:
    key = derive_key(b"passwd", b"salt", iterations=1, length=64)
    assert key.hex().startswith("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")


def test_the_examples_of_rfc_6070_with_sha_1() -> None:
    key = derive_key(b"password", b"salt", iterations=2, length=20, hash_name="sha1")
    assert key.hex() == "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"
    key = derive_key(b"pass\0word", b"sa\0lt", iterations=4096, length=16, hash_name="sha1")
    assert key.hex() == "56fa6aa75548099dcc37d7f03425e0c3"


def test_the_example_of_tr_06_2_annex_b() -> None:
    passphrase, nonce = b"Reliable Internet Stream Transport", bytes.fromhex("52495354")
    key = derive_key(passphrase, nonce, iterations=1024, length=32)
    assert key.hex() == "1c2b0cfc90ae2638fea78c7fb297704718bff7f4052743001a9b7ebb51cc9f1c"
    assert derive_key(passphrase, nonce, iterations=1024, length=16) == key[:16]
