from terzetto.crypto.aes_gcm import TAG_SIZE, AesGcm

# From a session of libsrt's own: key, nonce, header and first packet.
KEY = bytes.fromhex("55373e8c0baa350c1eee221aa050a253")
NONCE = bytes.fromhex("bd57c06fb33e8424f5afea2f")
HEADER = bytes.fromhex("7868f235c80000010016389020517cf2")
SEALED = bytes.fromhex(
    "b4675661722fce8a03cdafb556774e2b2b178b045fa259b90460b13d3504d3e2aff05fad3c98efb781aba38ae67a90c3"
    "cf3b252fbbd94a804f605cd9b3665443c151458238f74c96a336017ee16471a9"
)
PLAIN = b"SRT-VECTOR-0000-" * 4


def test_sealing_and_opening_match_a_captured_packet() -> None:
    cipher = AesGcm(KEY)
    assert cipher.seal(NONCE, PLAIN, HEADER) == SEALED
    assert cipher.open(NONCE, memoryview(SEALED), HEADER) == PLAIN


def test_altered_bytes_headers_and_short_packets_yield_nothing() -> None:
    cipher = AesGcm(KEY)
    assert cipher.open(NONCE, SEALED, HEADER[:-1] + b"\0") is None
    assert cipher.open(NONCE, SEALED[:-1] + b"\0", HEADER) is None
    assert cipher.open(NONCE, SEALED[: TAG_SIZE - 1], HEADER) is None
