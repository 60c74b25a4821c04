from __future__ import annotations

import pytest

from terzetto.crypto.srp_group import DEFAULT_GROUP, RFC_5054_1024, SrpError, SrpGroup


def is_probably_prime(number: int) -> bool:
    odd, twos = number - 1, 0
    while not odd & 1:
        odd, twos = odd >> 1, twos + 1
    for base in (2, 3, 5, 7):
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


@pytest.mark.parametrize(("group", "bits"), [(RFC_5054_1024, 1024), (DEFAULT_GROUP, 2048)])
def test_the_listed_groups_are_safe_primes_of_the_size_they_say(group: SrpGroup, bits: int) -> None:
    assert group.modulus.bit_length() == bits
    assert is_probably_prime(group.modulus)
    assert is_probably_prime(group.modulus // 2)


def test_a_listed_group_is_recognised_whatever_its_leading_zeros() -> None:
    modulus = DEFAULT_GROUP.modulus.to_bytes(256, "big")
    assert SrpGroup.from_untrusted(b"\x02", modulus) == DEFAULT_GROUP
    assert SrpGroup.from_untrusted(b"\0\x02", b"\0\0" + modulus) == DEFAULT_GROUP


@pytest.mark.parametrize(
    ("generator", "modulus", "reason"),
    [
        (b"\x02", b"\xff" * 127, "too small"),
        (b"\x02", b"\0" * 100 + b"\xff" * 100, "too small"),
        (b"\x02", b"", "too large"),  # a generator longer than its modulus
        (b"\x02", b"\xff" * 1025, "too large"),
        (b"\x00", b"\xff" * 128, "degenerate"),
        (b"\x01", b"\xff" * 128, "degenerate"),
        (b"\xff" * 128, b"\xff" * 128, "degenerate"),
        (b"\xff" * 127 + b"\xfe", b"\xff" * 128, "degenerate"),
        (b"\x02", b"\xff" * 127 + b"\xfe", "degenerate"),
        (b"\x05", DEFAULT_GROUP.modulus.to_bytes(256, "big"), "not one of"),
        (b"\x02", b"\xff" * 256, "not one of"),
    ],
)
def test_a_strangers_group_is_refused(generator: bytes, modulus: bytes, reason: str) -> None:
    with pytest.raises(SrpError, match=reason):
        SrpGroup.from_untrusted(generator, modulus)


def test_an_unknown_group_of_sane_size_is_taken_when_allowed() -> None:
    group = SrpGroup.from_untrusted(b"\x02", b"\xff" * 256, allow_unknown=True)
    assert group.size == 256
