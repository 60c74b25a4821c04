"""Broadcast and backup groups as libsrt 1.5.5 with bonding and we spoke them, in both roles and directions.

No package that the tests can install has a libsrt with bonding, so recordings stand in for the peer: what it sent is
taken in by our machines as it came, and what it answered is read as it was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import attrs
import pytest

from terzetto.srt.core.connection import Connection
from terzetto.srt.core.group.group import Group
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.control import ControlHeader, ControlType
from terzetto.srt.wire.data import DATA_HEADER, HEADER_SIZE
from terzetto.srt.wire.extensions import Extensions, GroupKind, GroupMembership
from terzetto.srt.wire.handshake import Handshake
from tests.srt.core.pair import Pair

WAYS = (1, 2)
DELAY = 200_000
PACKETS = 70


class Sent(NamedTuple):
    """One datagram that arrived."""

    at: int
    way: int
    sender: str
    datagram: bytes

    @property
    def control(self) -> int | None:
        return None if not self.datagram[0] & 0x80 else ControlHeader.decode(self.datagram).kind

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.datagram[:4], "big")


def _read() -> dict[str, list[Sent]]:
    recordings: dict[str, list[Sent]] = {}
    lines: list[Sent] = []
    for line in Path(__file__).with_name("libsrt_recordings.txt").read_text().splitlines():
        if line.startswith("=="):
            lines = recordings[line[3:]] = []
        elif not line.startswith("#"):
            at, way, sender, digits = line.split()
            lines.append(Sent(int(at), int(way), sender, bytes.fromhex(digits)))
    return recordings


RECORDINGS = _read()
RECEIVED = [name for name in RECORDINGS if name.endswith("receive")]
ANSWERED = [name for name in RECORDINGS if name.endswith("send")]


def handshakes(sent: Sequence[Sent], way: int) -> tuple[Handshake, Handshake]:
    """A member's conclusion and the answer to it."""
    first, second = (
        Handshake.decode(each.datagram[HEADER_SIZE:])
        for each in sent
        if each.way == way and each.control == ControlType.HANDSHAKE
    )
    return first, second


def membership(handshake: Handshake) -> GroupMembership:
    group = Extensions.decode(handshake.blocks).group
    assert group is not None
    return group


def data(sent: Sequence[Sent], way: int) -> list[Sent]:
    return [each for each in sent if each.way == way and each.control is None]


@pytest.mark.parametrize("name", RECORDINGS)
def test_both_members_say_one_group_one_kind_and_begin_at_one_number(name: str) -> None:
    kind = GroupKind.BACKUP if name.startswith("backup") else GroupKind.BROADCAST
    requests, responses = zip(*(handshakes(RECORDINGS[name], way) for way in WAYS), strict=True)
    for shakes in (requests, responses):
        groups = [membership(shake) for shake in shakes]
        assert {group.kind for group in groups} == {kind}
        assert len({group.group_id for group in groups}) == 1
        assert [group.weight for group in groups] == [2, 1]
        for shake in shakes:
            extensions = Extensions.decode(shake.blocks)
            assert extensions.encode(is_response=shakes is responses) == shake.blocks
    assert len({shake.initial_sequence for shake in (*requests, *responses)}) == 1
    assert membership(requests[0]).group_id != membership(responses[0]).group_id


def member(sent: Sequence[Sent], name: str, way: int) -> Connection:
    """Our end of a member, as the recorded handshake made it."""
    request, response = handshakes(sent, way)
    ours, theirs = (request, response) if "we call" in name else (response, request)
    first = data(sent, way)[0]
    sequence, _, timestamp, destination = DATA_HEADER.unpack_from(first.datagram)
    assert destination == ours.socket_id
    agreement = attrs.evolve(
        Pair(seed=1).connect()[0].agreement,
        local_id=ours.socket_id,
        peer_id=theirs.socket_id,
        initial_sequence=request.initial_sequence,
        playout_base=first.at - timestamp,
        receive_delay=DELAY,
        group=membership(theirs),
    )
    assert sequence >= request.initial_sequence
    return Connection(agreement, now=0)


@pytest.mark.parametrize("name", RECEIVED)
def test_what_libsrt_sent_over_two_ways_is_one_stream(name: str) -> None:
    sent = RECORDINGS[name]
    members = {way: member(sent, name, way) for way in WAYS}
    agreement = members[1].agreement
    assert agreement.group is not None
    group = Group(
        GroupKind(agreement.group.kind),
        group_id=0x4000_0001,
        initial_sequence=agreement.initial_sequence,
        least_stability_timeout=60_000,
        now=0,
    )
    for way in WAYS:
        group.join(members[way], now=0)
    delivered: list[bytes] = []
    now = 0
    for each in sent:
        now = each.at
        if each.sender == "libsrt" and each.control != ControlType.HANDSHAKE:
            members[each.way].handle_run([each.datagram], now=now)
            delivered += [bytes(entry[3]) for entry in group.take(now=now, limit=100)]
    delivered += [bytes(entry[3]) for entry in group.take(now=now + 2 * DELAY, limit=100)]
    count = PACKETS if name.startswith("backup") else 3
    assert [int.from_bytes(payload[:4], "big") for payload in delivered] == list(range(count))
    assert group.reception.skipped == 0
    assert not any(connection.counters.malformed for connection in members.values())


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name.startswith("broadcast")])
def test_in_a_broadcast_each_packet_has_one_number_and_one_time_on_both_ways(name: str) -> None:
    first, second = (
        [
            (DATA_HEADER.unpack_from(each.datagram)[:3], each.datagram[16:])
            for each in data(RECORDINGS[name], way)
        ]
        for way in WAYS
    )
    assert first == second
    assert len(first) == 3


@pytest.mark.parametrize("name", [name for name in RECEIVED if name.startswith("backup")])
def test_a_backup_stands_by_on_keep_alives_and_repeats_what_was_not_acknowledged(name: str) -> None:
    sent = RECORDINGS[name]
    main, spare = data(sent, 1), data(sent, 2)
    alive = [each for each in sent if each.way == 2 and each.control == ControlType.KEEPALIVE]
    assert alive[0].at < spare[0].at
    # The cut came between: the spare one begins no later than behind what had arrived on the main one.
    assert spare[0].at > main[-1].at
    assert main[0].sequence < spare[0].sequence <= main[-1].sequence + 1
    repeated = [each for each in spare if each.at == spare[0].at or each.at < spare[0].at + 10_000]
    stamps = [DATA_HEADER.unpack_from(each.datagram)[2] for each in repeated]
    assert len(stamps) >= 3, "it has a burst of what nobody acknowledged"
    assert stamps[-1] - stamps[0] > 50_000, "with the times they had"


@pytest.mark.parametrize("name", ANSWERED)
def test_libsrt_acknowledges_on_the_way_that_brought_the_packets(name: str) -> None:
    sent = RECORDINGS[name]
    first = handshakes(sent, 1)[0].initial_sequence
    for way in WAYS:
        answers = [
            Acknowledgement.decode(each.datagram[HEADER_SIZE:]).sequence
            for each in sent
            if each.way == way and each.control == ControlType.ACK
        ]
        assert answers == sorted(answers)
        assert first < answers[0] <= first + PACKETS
        ours = data(sent, way)
        assert ours[0].sender == "we"
        assert answers[0] > ours[0].sequence or way == 2
