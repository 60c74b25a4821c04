"""Units become payloads and units again, whole, or cleanly without what was lost."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.rtsp.formats.catalogue import make_depacketizer, make_packetizer
from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Packetizer, Payload
from terzetto.rtsp.formats.whole import SamplePacketizer, WholeDepacketizer
from terzetto.rtsp.wire.description import Format
from tests.rtsp.formats.media import KINDS, Kind, unit_of

SIZES = {"JPEG": 300, "transport stream": 400, "Opus": 100, "Speex": 100, "G.726": 100}


def machines(name: str) -> tuple[Kind, Packetizer, Depacketizer]:
    kind = KINDS[name]
    packetizer = make_packetizer(kind.format, SIZES.get(name, 60))
    depacketizer = make_depacketizer(kind.format)
    assert packetizer is not None
    assert depacketizer is not None
    return kind, packetizer, depacketizer


def whole(kind: Kind, unit: AccessUnit) -> list[bytes]:
    """What should come out for a unit."""
    return list(unit.parts) if kind.splits else [unit.data]


def essence(name: str, data: bytes) -> bytes:
    """What of a picture travels: JPEG's tables stand in other places afterwards, the scan does not."""
    return data[data.index(b"\xff\xda") + 12 :] if name == "JPEG" else data


def cut_alike(name: str, unit: AccessUnit) -> list[bytes]:
    return [essence(name, part) for part in whole(KINDS[name], unit)]


@pytest.mark.parametrize("name", KINDS)
def test_everything_comes_out_as_it_went_in(name: str) -> None:
    kind, packetizer, depacketizer = machines(name)
    chance = Random(name)
    for number in range(60):
        unit = unit_of(kind, chance, number)
        packed = packetizer.pack(unit)
        assert all(len(payload.data) <= SIZES.get(name, 60) for payload in packed)
        found = [each for payload in packed for each in depacketizer.push(payload)]
        if name == "transport stream":
            assert b"".join(each.data for each in found) == unit.data
            continue
        assert [essence(name, each.data) for each in found] == cut_alike(name, unit)
        assert found[0].timestamp == unit.timestamp
        assert not any(each.lost_before for each in found)
        if not kind.splits and name not in ("JPEG", "VP8", "VP9", "LATM with configuration"):
            assert found[0].parts == unit.parts
    assert not depacketizer.dropped
    assert depacketizer.flush() == []


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_with_losses_what_comes_out_is_whole_and_says_what_is_missing(name: str, seed: int) -> None:
    kind, packetizer, depacketizer = machines(name)
    chance = Random(f"{name} {seed}")
    sent: list[bytes] = []
    found: list[AccessUnit] = []
    damaged = lost = 0
    for number in range(200):
        unit = unit_of(kind, chance, number)
        sent += cut_alike(name, unit)
        packed = packetizer.pack(unit)
        survivors = [payload for payload in packed if chance.random() > 0.04]
        damaged += len(survivors) < len(packed)
        for payload in packed:
            if payload not in survivors:
                lost += 1
                continue
            found += depacketizer.push(payload._replace(lost_before=lost))
            lost = 0
    found += depacketizer.flush()
    assert damaged > 0
    if name == "transport stream":
        assert all(each.data[0] == 0x47 for each in found)
        return
    # What came is a part of what was sent, in order; a gap is always told. (A picture whose first or last units were
    # lost in packets of their own cannot be told from a whole one, so parts of it may come.)
    position = 0
    for each in found:
        data = essence(name, each.data)
        at = position
        while at < len(sent) and not (data == sent[at] or (name in PIECEMEAL and data in sent[at])):
            at += 1
        assert at < len(sent), f"{name} gave out what was never sent"
        if at > position and name not in PIECEMEAL:
            assert each.lost_before
        position = at + 1 if data == sent[at] or name not in PIECEMEAL else at
    assert len(found) > 10


# Units whose parts travel alone: who has lost one cannot know, but for the gap, which is told.
PIECEMEAL = {"H264", "H265", "AV1", "MPEG-2 video", "MPEG-4 video", "LATM", "KLV"}


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(
        st.tuples(st.binary(max_size=40), st.integers(0, 3), st.booleans(), st.integers(0, 2)), max_size=12
    ),
)
def test_whatever_comes_is_borne(name: str, arrivals: list[tuple[bytes, int, bool, int]]) -> None:
    kind, packetizer, depacketizer = machines(name)
    for data, timestamp, marker, lost in arrivals:
        depacketizer.push(Payload(data, timestamp, marker, lost))
    depacketizer.flush()
    chance = Random(1)
    # After a marker's packet of another time the next unit is understood again.
    units = [unit_of(kind, chance, number) for number in range(10, 14)]
    found = [
        each for unit in units for payload in packetizer.pack(unit) for each in depacketizer.push(payload)
    ]
    assert [essence(name, each.data) for each in found][-1:] == cut_alike(name, units[-1])[-1:] or (
        name == "transport stream" and found
    )


@pytest.mark.parametrize(
    "name", ["H264", "H265", "VP8", "VP9", "AV1", "MPEG-4 video", "JPEG", "MPEG-2 video"]
)
def test_a_unit_without_end_is_given_up(name: str) -> None:
    kind, packetizer, depacketizer = machines(name)
    unit = unit_of(kind, Random(3), 0)
    first = packetizer.pack(unit)[0]
    filler = {"H264": b"\x7c\x05", "H265": b"\x62\x01\x14", "AV1": b"\xd0", "VP9": b"\x90\x80\x00"}.get(
        name, b"\0"
    )
    if name in ("H264", "H265"):
        first = Payload({"H264": b"\x7c\x85xx", "H265": b"\x62\x01\x94xx"}[name], 1000)
    elif name == "AV1":
        first = Payload(b"\x50\x18xx", 1000)
    depacketizer.push(first._replace(marker=False))
    size = len(first.data)
    for _ in range(200_000):
        body = filler + bytes(60_000)
        if name == "JPEG":
            body = (size - 60).to_bytes(4, "big") + first.data[4:8] + bytes(60_000)
        size += 60_000
        depacketizer.push(Payload(body, first.timestamp))
        if depacketizer.dropped:
            break
    assert depacketizer.dropped
    assert size < 10 << 20


class TestSamples:
    @pytest.mark.parametrize(
        ("encoding", "channels", "size"), [("PCMU", 1, 1), ("L16", 2, 4), ("L24", 6, 18), ("G722", None, 1)]
    )
    def test_sound_is_cut_between_samples(self, encoding: str, channels: int | None, size: int) -> None:
        media_format = Format(payload_type=96, encoding=encoding, clock_rate=8000, channels=channels)
        packetizer = make_packetizer(media_format, 100)
        depacketizer = make_depacketizer(media_format)
        assert isinstance(packetizer, SamplePacketizer)
        assert isinstance(depacketizer, WholeDepacketizer)
        data = bytes(range(200))[: 180 // size * size] * 3
        payloads = packetizer.pack(AccessUnit((data,), 0xFFFF_FFF0))
        assert b"".join(unit.data for each in payloads for unit in depacketizer.push(each)) == data
        per_tick = size * (2 if encoding == "G722" else 1)
        for before, after in pairwise(payloads):
            assert (after.timestamp - before.timestamp) & 0xFFFF_FFFF == len(before.data) // per_tick

    def test_a_part_of_a_sample_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no whole samples"):
            SamplePacketizer(4).pack(AccessUnit((b"abc",), 0))
        depacketizer = WholeDepacketizer(4)
        assert depacketizer.push(Payload(b"abc", 0)) == []
        assert depacketizer.dropped


def test_formats_that_nobody_knows_pass_as_they_are() -> None:
    unknown = Format(payload_type=96, encoding="X-OWN", clock_rate=90_000)
    assert make_packetizer(unknown) is None
    assert make_depacketizer(unknown) is None
