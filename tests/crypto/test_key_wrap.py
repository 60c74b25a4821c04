from terzetto.crypto.key_wrap import unwrap_key, wrap_key

# RFC 3394, section 4.1: 128 bits of key data with a 128-bit key.
KEK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
WRAPPED = bytes.fromhex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")


def test_wrapping_matches_the_specification() -> None:
    assert wrap_key(KEK, KEY) == WRAPPED
    assert unwrap_key(KEK, WRAPPED) == KEY


def test_a_wrong_wrapping_key_or_an_altered_byte_yields_nothing() -> None:
    assert unwrap_key(KEK[::-1], WRAPPED) is None
    assert unwrap_key(KEK, bytes([WRAPPED[0] ^ 1]) + WRAPPED[1:]) is None
    assert unwrap_key(KEK, WRAPPED[:-1]) is None
