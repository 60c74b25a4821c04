from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.crypto.zero_state_sha import zero_state_sha256

FIPS_180_4 = (
    0x6A09E667,
    0xBB67AE85,
    0x3C6EF372,
    0xA54FF53A,
    0x510E527F,
    0x9B05688C,
    0x1F83D9AB,
    0x5BE0CD19,
)


@given(st.binary(max_size=300))
def test_with_the_standard_start_it_is_sha_256(data: bytes) -> None:
    assert zero_state_sha256(data, initial=FIPS_180_4) == sha256(data).digest()


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "361ab6322fa9e7a7bb23818d839e01bddafdf47305426edd297aedb9f6202bae"),
        (b"rist:mainprofile", "f36d9b122e19e2cdb9bb1f84988731b94044508e68cb63953ace02971f8a893e"),
    ],
)
def test_librist_0_2_7_computes_the_same(text: bytes, digest: str) -> None:
    assert zero_state_sha256(text).hex() == digest
