"""Groups as libsrt 1.5.5 with bonding puts them on the wire: handshakes and packets captured on loopback."""

from __future__ import annotations

import pytest

from terzetto.srt.wire.control import ControlHeader
from terzetto.srt.wire.data import DATA_HEADER, HEADER_SIZE
from terzetto.srt.wire.extensions import Extensions, GroupKind, GroupMembership
from terzetto.srt.wire.handshake import BlockFlag, Handshake
from tests.srt.vectors import VECTORS

HANDSHAKES = {
    "broadcast member 1 conclusion request": GroupMembership(0x63989D12, GroupKind.BROADCAST, 0, 9),
    "broadcast member 2 conclusion request": GroupMembership(0x63989D12, GroupKind.BROADCAST, 0, 10),
    "broadcast member 1 conclusion response": GroupMembership(0x63989D0E, GroupKind.BROADCAST, 0, 9),
    "backup member conclusion request": GroupMembership(0x525A1ACF, GroupKind.BACKUP, 0, 10),
}


@pytest.mark.parametrize(("name", "membership"), HANDSHAKES.items())
def test_a_member_says_its_group_its_kind_and_its_weight(name: str, membership: GroupMembership) -> None:
    handshake = Handshake.decode(VECTORS[name][HEADER_SIZE:])
    extensions = Extensions.decode(handshake.blocks)
    assert extensions.group == membership
    assert BlockFlag(handshake.extension) == extensions.flags
    assert extensions.encode(is_response="response" in name) == handshake.blocks


def test_all_members_begin_at_one_sequence_number() -> None:
    first, second = (
        Handshake.decode(VECTORS[f"broadcast member {number} conclusion request"][HEADER_SIZE:])
        for number in (1, 2)
    )
    assert first.initial_sequence == second.initial_sequence == 0x12207396


def test_one_payload_has_one_number_and_one_time_on_every_member() -> None:
    first, second = VECTORS["broadcast data packet, link 1"], VECTORS["broadcast data packet, link 2"]
    assert (
        DATA_HEADER.unpack_from(first)[:3]
        == DATA_HEADER.unpack_from(second)[:3]
        == (0x12207396, 0xC0000001, 0x000F59C9)
    )
    assert first[HEADER_SIZE:] == second[HEADER_SIZE:]
    assert DATA_HEADER.unpack_from(first)[3] != DATA_HEADER.unpack_from(second)[3]


def test_members_count_time_from_one_moment() -> None:
    # The second member was called at the same time as the first: both stamps are milliseconds old.
    stamps = [
        ControlHeader.decode(VECTORS[f"broadcast member {number} conclusion request"]).timestamp
        for number in (1, 2)
    ]
    assert stamps == [0x0A2D, 0x0B4E]
