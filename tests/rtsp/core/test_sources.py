"""A media whose formats have sources (SSRCs) of their own, as gortsplib sends them."""

from __future__ import annotations

import pytest

from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.rtp.bye import Bye
from terzetto.rtp.header import pack_header
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound
from terzetto.rtp.sender_report import ReportBlock, SenderReport
from terzetto.rtsp.core.reception import PacketsArrived, Reception, ReceptionEvent
from terzetto.rtsp.core.track import ReceptionSettings, TrackSetup
from terzetto.rtsp.events import PacketsLost, PtsQuality, RtspPacket, SourceChanged, SourceLeft
from terzetto.rtsp.statistics import media_received
from terzetto.rtsp.wire.description import Format, Media
from terzetto.rtsp.wire.interleaved import Frame

MEDIA = Media(
    kind="audio",
    formats=(
        Format(payload_type=96, encoding="L16", clock_rate=8_000),
        Format(payload_type=97, encoding="opus", clock_rate=48_000),
    ),
)
ONE, OTHER = 0xA0000001, 0xB0000002
PEER, REPORTS = Address("192.0.2.1", 5000), Address("192.0.2.1", 5001)
both = pytest.mark.parametrize("is_udp", [False, True], ids=["tcp", "udp"])


class Receiving:
    """A reception of one media, and what it has told."""

    def __init__(self, *, is_udp: bool, media: Media = MEDIA) -> None:
        if is_udp:
            setup = TrackSetup(
                index=0, media=media, host=PEER.host, rtp_port=PEER.port, rtcp_port=REPORTS.port
            )
        else:
            setup = TrackSetup(index=0, media=media, channels=(0, 1))
        self.is_udp = is_udp
        self.reception = Reception([setup], ReceptionSettings(), ssrc=1, now=0)
        self.track = self.reception.tracks[0]
        self.now = 0
        self.packets: list[RtspPacket] = []
        self.events: list[ReceptionEvent] = []

    def take(self, data: bytes, *, is_rtcp: bool = False) -> None:
        if self.is_udp:
            run = Run(REPORTS if is_rtcp else PEER, [data], int(is_rtcp))
            self.reception.handle_datagrams([run], now=self.now)
        else:
            self.reception.handle_frames([Frame(int(is_rtcp), data)], now=self.now)
        self._note()

    def rtp(self, payload_type: int, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        rate = 8_000 if payload_type == 96 else 48_000
        ticks = sequence * rate // 50 if timestamp is None else timestamp
        self.take(pack_header(payload_type, sequence & 0xFFFF, ticks & 0xFFFF_FFFF, ssrc) + b"payload")

    def report(self, ssrc: int, moment: int, timestamp: int) -> None:
        sent = SenderReport(ssrc=ssrc, ntp=ntp_from_unix(moment), rtp_timestamp=timestamp)
        self.take(sent.encode(), is_rtcp=True)

    def wait(self, duration: int) -> None:
        self.now += duration
        self.reception.handle_timeout(now=self.now)
        self._note()

    def blocks(self) -> dict[int, ReportBlock]:
        """What the receiver report says that is due."""
        self.reception.poll_transmits()
        self.wait(6 * MICROS_PER_SECOND)
        compounds = [
            decode_compound(run.datagrams[0])
            for run in self.reception.poll_transmits()
            if run.peer == REPORTS
        ]
        (said,) = (
            packet
            for each in compounds
            for packet in each.packets
            if isinstance(packet, ReceiverReport) and packet.ssrc == 1
        )
        return {block.ssrc: block for block in said.blocks}

    def of(self, kind: type[object]) -> list[ReceptionEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def numbers(self, ssrc: int) -> list[int]:
        return [packet.sequence for packet in self.packets if packet.ssrc == ssrc]

    def _note(self) -> None:
        for event in self.reception.poll_events():
            if isinstance(event, PacketsArrived):
                self.packets += event.packets
            else:
                self.events.append(event)


def start_both(receiving: Receiving, *, count: int = 20) -> None:
    """Both formats, packet by packet in turn, each 20 ms."""
    for number in range(count):
        receiving.rtp(96, ONE, 1000 + number)
        receiving.rtp(97, OTHER, 50_000 + number)
        receiving.now += 20_000


@both
def test_each_format_may_have_a_source_of_its_own(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    assert receiving.numbers(ONE) == list(range(1000, 1020))
    assert receiving.numbers(OTHER) == list(range(50_000, 50_020))
    assert receiving.events == []
    media = media_received(receiving.track)
    assert (media.packets, media.lost, media.bytes) == (40, 0, 40 * 19)
    assert [(each.remote_ssrc, each.packets, each.lost) for each in media.formats] == [
        (ONE, 20, 0),
        (OTHER, 20, 0),
    ]
    assert max(media.jitter, *(each.jitter for each in media.formats)) < 0.005


@both
def test_what_one_source_loses_the_other_has_no_part_in(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    for number in range(20, 40):
        if number not in (25, 26):
            receiving.rtp(96, ONE, 1000 + number)
        receiving.rtp(97, OTHER, 50_000 + number)
        if is_udp and number == 27:
            # What is missing is waited for, by its own source alone.
            assert receiving.numbers(ONE)[-1] == 1024
            assert receiving.numbers(OTHER)[-1] == 50_027
    receiving.wait(200_000)
    assert receiving.of(PacketsLost) == [PacketsLost(0, 2)]
    assert len(receiving.numbers(ONE)) == 38
    assert receiving.numbers(OTHER) == list(range(50_000, 50_040))
    media = media_received(receiving.track)
    assert (media.lost, [each.lost for each in media.formats]) == (2, [2, 0])
    assert [each.last_sequence for each in media.formats] == [1039, 50_039]


def test_packets_of_both_are_put_in_order_each_by_its_own_numbers() -> None:
    receiving = Receiving(is_udp=True)
    start_both(receiving, count=2)
    for number in (3, 2, 5, 4):
        receiving.rtp(96, ONE, 1000 + number)
        receiving.rtp(97, OTHER, 50_000 + number)
    receiving.rtp(97, OTHER, 50_004)
    assert receiving.numbers(ONE) == list(range(1000, 1006))
    assert receiving.numbers(OTHER) == list(range(50_000, 50_006))
    assert media_received(receiving.track).late_or_duplicate == 1


@both
def test_each_source_has_its_own_clock(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    wall = 1_700_000_000 * MICROS_PER_SECOND
    # The other's report comes before any packet of it, and is kept.
    receiving.report(ONE, wall, 777_000)
    receiving.report(OTHER, wall, 5_000_000)
    for number in range(10):
        receiving.rtp(96, ONE, number, 777_000 + number * 160)
        receiving.rtp(97, OTHER, number, 5_000_000 + number * 960)
        receiving.now += 20_000
    last = {packet.ssrc: packet for packet in receiving.packets}
    for ssrc in (ONE, OTHER):
        assert last[ssrc].pts_quality is PtsQuality.SENDER_REPORT
        assert last[ssrc].ntp == wall + 180_000
        assert last[ssrc].pts == 180_000


def test_a_receiver_report_tells_of_every_source() -> None:
    receiving = Receiving(is_udp=True)
    start_both(receiving)
    receiving.report(ONE, 1000 * MICROS_PER_SECOND, 0)
    receiving.now += MICROS_PER_SECOND
    receiving.report(OTHER, 1001 * MICROS_PER_SECOND, 0)
    receiving.rtp(96, ONE, 1022)
    blocks = receiving.blocks()
    assert set(blocks) == {ONE, OTHER}
    assert (blocks[ONE].cumulative_lost, blocks[OTHER].cumulative_lost) == (2, 0)
    assert blocks[OTHER].last_sr - blocks[ONE].last_sr == 65_536
    assert blocks[ONE].delay_since_last_sr - blocks[OTHER].delay_since_last_sr == 65_536


@both
def test_one_source_says_goodbye_and_the_other_stays(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    for _ in range(3):
        receiving.take(Bye((0x666, OTHER, OTHER), "enough").encode(), is_rtcp=True)
    assert receiving.events == [SourceLeft(0, "enough", OTHER)]
    if is_udp:
        assert set(receiving.blocks()) == {ONE}
    receiving.rtp(96, ONE, 1020)
    receiving.rtp(97, OTHER, 50_020)  # it thought better of it
    if is_udp:
        assert set(receiving.blocks()) == {ONE, OTHER}
    receiving.take(Bye((OTHER,)).encode(), is_rtcp=True)
    assert len(receiving.of(SourceLeft)) == 2
    assert not receiving.of(SourceChanged)


@both
def test_a_new_source_of_one_format_leaves_the_other_alone(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    for number in range(5):
        receiving.rtp(96, 0xC, number)
        receiving.rtp(97, OTHER, 50_020 + number)
        assert len(receiving.of(SourceChanged)) == (number > 0 or not is_udp)
    assert receiving.events == [SourceChanged(0, 0xC)]
    assert receiving.numbers(0xC) == list(range(5))
    assert receiving.numbers(OTHER) == list(range(50_000, 50_025))
    assert set(receiving.track.sources) == {0xC, OTHER}


@both
def test_one_source_of_both_formats_is_one_and_is_replaced_as_one(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    for number in range(10):
        receiving.rtp(96 + number % 2, ONE, number)
    assert receiving.numbers(ONE) == list(range(10))
    for number in range(100, 110):
        receiving.rtp(96 + number // 2 % 2, OTHER, number)
    assert receiving.numbers(OTHER) == list(range(100, 110))
    assert receiving.events == [SourceChanged(0, OTHER)]
    assert set(receiving.track.sources) == {OTHER}


@both
def test_a_source_may_take_over_the_format_of_another(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    for number in range(5):
        receiving.rtp(96, OTHER, 50_020 + number)
    assert receiving.events == [SourceChanged(0, OTHER)]
    assert receiving.numbers(OTHER) == list(range(50_000, 50_025))
    assert set(receiving.track.sources) == {OTHER}
    assert len(receiving.track._session_time.tracks) == 1


@both
def test_a_flood_of_sources_is_never_more_than_there_are_formats(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp)
    start_both(receiving)
    for number in range(2000):
        forged = 0xDEAD0000 + number
        receiving.rtp(96 + number % 2, forged, number)
        receiving.report(forged, MICROS_PER_SECOND << 20, 0)
        receiving.take(Bye((forged + 1,)).encode(), is_rtcp=True)
    track = receiving.track
    assert len(track.sources) <= 2
    assert len(track._candidates) <= 2
    assert len(track._early_reports) <= 2
    assert len(track._session_time.tracks) <= 2
    if is_udp:
        # One datagram each is not enough: nobody was taken in.
        assert set(track.sources) == {ONE, OTHER}
        assert receiving.events == []
        receiving.rtp(96, ONE, 1020)
        receiving.rtp(97, OTHER, 50_020)
        assert receiving.numbers(ONE)[-1] == 1020
        assert receiving.numbers(OTHER)[-1] == 50_020


@pytest.mark.parametrize("size", [2, 40])
def test_sources_fit_into_a_receiver_report(size: int) -> None:
    formats = tuple(
        Format(payload_type=number, encoding="L16", clock_rate=8_000) for number in range(80, 80 + size)
    )
    receiving = Receiving(is_udp=True, media=Media(kind="audio", formats=formats))
    for number in range(3):
        for payload_type in range(80, 80 + size):
            receiving.rtp(payload_type, payload_type, number)
    assert len(receiving.track.sources) == min(size, 31)
    assert len(receiving.blocks()) == min(size, 31)
    assert receiving.track.faults.total() == 2 * (size - min(size, 31))


@both
def test_a_media_of_one_format_has_one_source_at_a_time(is_udp: bool) -> None:
    receiving = Receiving(is_udp=is_udp, media=Media(kind="audio", formats=MEDIA.formats[:1]))
    for number, ssrc in enumerate([1, 1, 9, 1, 2, 2, 2]):
        receiving.rtp(96, ssrc, number)
    if is_udp:
        assert receiving.numbers(9) == []
        assert receiving.of(SourceChanged) == [SourceChanged(0, 2)]
        assert set(receiving.blocks()) == {2}
    assert receiving.numbers(2) == [4, 5, 6]
    assert set(receiving.track.sources) == {2}
    assert media_received(receiving.track).formats[0].remote_ssrc == 2
