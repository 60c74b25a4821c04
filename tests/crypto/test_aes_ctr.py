from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.crypto.aes_ctr import AesCtr

# NIST SP 800-38A, F.5: counter block f0f1...ff, four blocks of plaintext.
COUNTER = bytes(range(0xF0, 0x100))
PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST = {
    "2b7e151628aed2a6abf7158809cf4f3c": (
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
    ),
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b": (
        "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
        "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"
    ),
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4": (
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    ),
}


@pytest.mark.parametrize("key", NIST)
def test_the_nist_examples_of_every_key_size(key: str) -> None:
    assert AesCtr(bytes.fromhex(key)).apply(COUNTER, PLAIN).hex() == NIST[key]


def test_a_kept_context_forgets_the_packet_before() -> None:
    cipher = AesCtr(bytes(16))
    first = cipher.apply(COUNTER, b"seven bytes and no block boundary")
    cipher.apply(bytes(16), b"something else entirely")
    assert cipher.apply(COUNTER, b"seven bytes and no block boundary") == first


def test_the_counter_carries_through_all_sixteen_bytes() -> None:
    cipher = AesCtr(bytes(32))
    two_blocks = cipher.apply(b"\xff" * 16, bytes(32))
    assert two_blocks[16:] == cipher.apply(bytes(16), bytes(16))


@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.binary(max_size=100))))
def test_a_run_is_its_packets_one_by_one_and_comes_back(run: list[tuple[bytes, bytes]]) -> None:
    cipher = AesCtr(bytes(range(16)))
    sealed = cipher.apply_each((block, memoryview(data)) for block, data in run)
    assert sealed == [cipher.apply(block, data) for block, data in run]
    blocks = [block for block, _ in run]
    assert cipher.apply_each(zip(blocks, sealed, strict=True)) == [data for _, data in run]


@pytest.mark.parametrize("length", [0, 8, 15, 17, 33])
def test_a_key_of_no_aes_size_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="key size"):
        AesCtr(bytes(length))
