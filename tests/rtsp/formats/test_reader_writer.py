from __future__ import annotations

from random import Random

import pytest

from terzetto.errors import UnsupportedOperation
from terzetto.primitives.datagrams import Address, Run
from terzetto.rtsp.core.reception import PacketsArrived, Reception
from terzetto.rtsp.core.track import ReceptionSettings, TrackSetup
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.reader import UnitReader
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.wire.description import Description, Format, Media
from tests.rtsp.formats.media import KINDS

H264, AAC = KINDS["H264"].format, KINDS["AAC"].format
DESCRIPTION = Description(
    medias=(
        Media(kind="video", formats=(H264,)),
        Media(kind="audio", formats=(AAC,)),
        Media(kind="application", formats=(Format(payload_type=96, encoding="X-OWN", clock_rate=1000),)),
    )
)


def received(media: int, packets: list[bytes], *, drop: frozenset[int] = frozenset()) -> list[RtspPacket]:
    """What a session makes of *packets*."""
    setup = TrackSetup(index=media, media=DESCRIPTION.medias[media], host="")
    reception = Reception([setup], ReceptionSettings(), ssrc=1, now=0)
    found: list[RtspPacket] = []
    for number, packet in enumerate(packets):
        if number not in drop:
            reception.handle_datagrams([Run(Address("192.0.2.1", 9), (packet,), 0)], now=number * 40_000)
            reception.handle_timeout(now=number * 40_000)
        for event in reception.poll_events():
            if isinstance(event, PacketsArrived):
                found += event.packets
    return found


def test_pictures_arrive_whole_with_their_times() -> None:
    chance = Random(5)
    writer = UnitWriter(H264, chance.randbytes, payload_size=100)
    sent = [AccessUnit(KINDS["H264"].draw(chance), number * 3600) for number in range(20)]
    packets = received(0, [packet for unit in sent for packet in writer.write(unit)])
    reader = UnitReader(DESCRIPTION)
    found = reader.push(packets)
    assert [unit.data for unit in found] == [unit.data for unit in sent]
    assert [unit.pts for unit in found] == [number * 40_000 for number in range(20)]
    assert {unit.media for unit in found} == {0}
    assert found[0].format is H264
    assert not reader.dropped


def test_each_frame_of_sound_has_a_time_of_its_own() -> None:
    writer = UnitWriter(AAC, Random(6).randbytes)
    packets = received(1, writer.write(AccessUnit((b"a" * 50, b"b" * 60, b"c" * 70), 0)))
    found = UnitReader(DESCRIPTION).push(packets)
    assert [unit.data[:1] for unit in found] == [b"a", b"b", b"c"]
    assert [unit.pts for unit in found] == [0, 21_333, 42_666]


def test_a_loss_is_told_and_costs_one_picture() -> None:
    chance = Random(7)
    writer = UnitWriter(H264, chance.randbytes, payload_size=100)
    sent = [
        AccessUnit((b"\x65" + chance.randbytes(400).replace(b"\0", b"x"),), number * 3600)
        for number in range(6)
    ]
    groups = [writer.write(unit) for unit in sent]
    lost = len(groups[0]) + len(groups[1]) + 2
    reader = UnitReader(DESCRIPTION)
    found = reader.push(received(0, [packet for group in groups for packet in group], drop=frozenset({lost})))
    assert [unit.data for unit in found] == [unit.data for number, unit in enumerate(sent) if number != 2]
    assert [unit.unit.lost_before for unit in found] == [False, False, True, False, False]
    assert reader.dropped


def test_what_nobody_knows_passes_and_cannot_be_cut() -> None:
    packet = UnitWriter(H264, bytes).write(AccessUnit((b"\x65abc",), 0))[0]
    (unit,) = UnitReader(DESCRIPTION).push(received(2, [packet]))
    assert unit.data == b"\x65abc"
    with pytest.raises(UnsupportedOperation, match="nobody here knows how to cut X-OWN"):
        UnitWriter(DESCRIPTION.medias[2].formats[0], bytes)
