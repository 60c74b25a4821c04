from __future__ import annotations

import random

import pytest

from terzetto.errors import InvalidOption, MalformedPacket
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.packet_filter import FilterReceiver, FilterSender
from terzetto.srt.options import SrtOptions
from terzetto.srt.snapshots import snapshot
from terzetto.srt.wire.control import ControlHeader, ControlType
from terzetto.srt.wire.data import DataHeader
from terzetto.srt.wire.filter_configuration import FilterRequest, FilterSettings
from terzetto.srt.wire.filter_packet import ROW_GROUP, FilterPacket
from terzetto.srt.wire.rejection import RejectionReason
from tests.srt.core.pair import LISTENER, MILLI, SECOND, Link, Pair

# Captured from libsrt 1.5.1: three columns, two rows, a staircase; the zeros at the end of parities cut off.
DATA = [
    bytes.fromhex(f"06888dd{number}c000000{number}{stamp}0813a063") + b"SRT-VECTOR-%04d-" % (number - 1) * 4
    for number, stamp in ((1, "001adc16"), (2, "001adc23"), (3, "001adc25"), (4, "001adc26"))
]
ROW = bytes.fromhex("06888dd3c0000000001adc100813a063ff000040") + b"SRT-VECTOR-0003-" * 4
COLUMN = bytes.fromhex("06888dd4c0000000000000300813a06300000000") + (b"\0" * 14 + b"\x03\0") * 4


def settings(text: str) -> FilterSettings:
    return FilterRequest.parse(text).settings()


def test_parities_are_libsrts_to_the_byte() -> None:
    sender = FilterSender(
        settings("fec,cols:3,rows:2,layout:staircase"), first=0x06888DD1, size=1316, destination=0x0813A063
    )
    woven = sender.weave(DATA, 0x06888DD1)
    assert [packet.rstrip(b"\0") for packet in woven] == [*DATA[:3], ROW, DATA[3], COLUMN.rstrip(b"\0")]
    assert [len(packet) for packet in woven] == [80, 80, 80, 1336, 80, 1336]


def test_a_parity_says_what_it_sums_up() -> None:
    parity = FilterPacket.decode(ROW)
    assert parity[:6] == (0x06888DD3, 0x001ADC10, 0x0813A063, ROW_GROUP, 0, 0x40)
    assert parity.encode(64) == ROW
    with pytest.raises(MalformedPacket, match="truncated"):
        FilterPacket.decode(ROW[:19])


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_libsrts_row_gives_back_any_of_its_packets(lost: int) -> None:
    receiver = FilterReceiver(
        settings("fec,cols:3,rows:2"), Counters(), first=0x06888DD1, longest=1456, own_id=0x0813A063
    )
    arriving = [*DATA[:3], ROW]
    del arriving[lost]
    end, steps = receiver.screen(arriving, 0)
    assert end == 3
    rebuilt = [packet for _, packets in steps for packet in packets]
    header = DataHeader.decode(rebuilt[0])
    assert header == DataHeader.decode(DATA[lost])._replace(message_number=1, is_retransmission=True)
    assert rebuilt[0][16:] == DATA[lost][16:]


def test_what_is_no_data_for_us_is_left_to_others() -> None:
    receiver = FilterReceiver(
        settings("fec,cols:3"), Counters(), first=0x06888DD1, longest=1456, own_id=0x0813A063
    )
    control = bytes.fromhex("80010000 00000000 00000001 0813a063 00000000")
    end, steps = receiver.screen([DATA[0], control, DATA[1]], 0)
    assert end == 1
    assert steps == [([DATA[0]], [])]
    assert receiver.screen([DATA[1][:12]], 0) == (0, [])
    assert receiver.screen([DATA[1][:12] + b"\0\0\0\1"], 0) == (0, [])


@pytest.mark.parametrize(
    "changed", ["06888dd2" + ROW.hex()[8:], ROW.hex().replace("ff000040", "02000040"), ROW.hex()[:38]]
)
def test_a_parity_that_fits_no_line_is_dropped_and_counted(changed: str) -> None:
    counters = Counters()
    receiver = FilterReceiver(
        settings("fec,cols:3"), counters, first=0x06888DD1, longest=1456, own_id=0x0813A063
    )
    assert receiver.screen([DATA[0], DATA[1], bytes.fromhex(changed)], 0) == (3, [(DATA[:2], [])])
    assert sum(counters.malformed.values()) == 1


# -- whole connections ---------------------------------------------------------------------------------------------


def _is_original(packet: bytes) -> bool:
    if packet[0] & 0x80:
        return False
    header = DataHeader.decode(packet)
    return bool(header.message_number) and not header.is_retransmission


def _naks(pair: Pair) -> int:
    return sum(
        1
        for _, _, packet in pair.wire
        if packet[0] & 0x80 and ControlHeader.decode(packet).kind == ControlType.NAK
    )


def _stream(pair: Pair, count: int, *, size: int = 300, every: int = 2 * MILLI) -> list[bytes]:
    source = random.Random(7)
    sent = []
    for _ in range(count):
        payload = source.randbytes(source.randrange(1, size))
        sent.append(payload)
        pair.send([payload])
        pair.run(for_=every)
    pair.run(for_=SECOND)
    return sent


def _delivered(pair: Pair) -> list[bytes]:
    return [payload for _, payload in pair.delivered[LISTENER]]


class Every:
    """Drops single originals, well apart."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._count = 0

    def __call__(self, packet: bytes, now: int) -> bool:
        self._count += _is_original(packet)
        return _is_original(packet) and self._count % self._step == 0


FILTERS = [
    "fec,cols:10",
    "fec,cols:10,rows:5,layout:even",
    "fec,cols:10,rows:5,layout:staircase",
    "fec,cols:5,rows:-5,layout:even",
    "fec,cols:5,rows:-5,layout:staircase",
]


@pytest.mark.parametrize("passphrase", ["", "a passphrase"])
@pytest.mark.parametrize("text", FILTERS)
def test_single_losses_are_mended_without_asking(text: str, passphrase: str) -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter=text, passphrase=passphrase),
        listener=SrtOptions(passphrase=passphrase, latency=0.3),
        forth=Link(drop=Every(23)),
    )
    sender, receiver = pair.connect()
    sent = _stream(pair, 400)
    # Above the first stairs nothing is protected where rows have no parities, and the stream's end stands in no line.
    assert len(_delivered(pair)) >= len(sent) - 3
    assert set(_delivered(pair)) <= set(sent)
    counters = receiver.counters
    assert counters.filter_rebuilt >= 14
    assert counters.recovered >= counters.filter_rebuilt
    assert counters.filter_received == sender.counters.filter_sent > 0
    if "rows:-5" not in text:
        assert _naks(pair) <= 1
    assert not counters.malformed


@pytest.mark.parametrize("text", FILTERS)
def test_with_repeats_nothing_is_lost(text: str) -> None:
    pair = Pair(
        seed=5,
        caller=SrtOptions(packet_filter=text, latency=0.5),
        listener=SrtOptions(latency=0.5),
        forth=Link(loss=0.1, jitter=4 * MILLI),
        back=Link(loss=0.1),
    )
    _, receiver = pair.connect()
    sent = _stream(pair, 600)
    assert _delivered(pair) == sent
    assert receiver.counters.filter_rebuilt > 0
    assert receiver.counters.skipped == 0


def test_arq_never_asks_for_nothing() -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:10,rows:5,arq:never"),
        forth=Link(loss=0.1),
        listener=SrtOptions(),
    )
    _, receiver = pair.connect()
    sent = _stream(pair, 400)
    assert _naks(pair) == 0
    assert set(_delivered(pair)) <= set(sent)
    assert receiver.counters.filter_rebuilt > receiver.counters.skipped


def test_arq_always_asks_at_once() -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:10,rows:5,arq:always"),
        forth=Link(drop=Every(23)),
        listener=SrtOptions(),
    )
    pair.connect()
    sent = _stream(pair, 300)
    assert _delivered(pair) == sent
    # A packet that ends a line comes back by its parity before the next packet shows the gap.
    assert _naks(pair) >= 10


def test_a_burst_longer_than_the_columns_can_mend_is_left_to_repeats() -> None:
    dropped: list[int] = []

    def burst(packet: bytes, now: int) -> bool:
        if _is_original(packet) and 100 <= DataHeader.decode(packet).message_number < 125:
            dropped.append(now)
            return True
        return False

    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:10,rows:5,layout:even", latency=0.4),
        listener=SrtOptions(latency=0.4),
        forth=Link(drop=burst),
    )
    _, receiver = pair.connect()
    sent = _stream(pair, 300)
    assert len(dropped) == 25
    assert _delivered(pair) == sent
    # The first repeats to come are what a line lacked to give back the rest.
    assert receiver.counters.filter_lost >= 20
    assert receiver.counters.filter_rebuilt >= 1


def test_a_pause_does_not_leave_a_loss_to_a_parity_that_never_comes() -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:10,rows:5", latency=0.5),
        listener=SrtOptions(latency=0.5),
        forth=Link(
            drop=lambda packet, now: _is_original(packet) and DataHeader.decode(packet).message_number == 3
        ),
    )
    pair.connect()
    sent = _stream(pair, 6)
    assert _delivered(pair) == sent


def test_the_last_packet_of_a_row_comes_back_by_its_own_parity() -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:4"),
        forth=Link(
            drop=lambda packet, now: _is_original(packet) and DataHeader.decode(packet).message_number == 4
        ),
    )
    _, receiver = pair.connect()
    assert _delivered(pair) == []
    sent = _stream(pair, 4)
    assert _delivered(pair) == sent
    assert receiver.counters.recovered == receiver.counters.lost == 1


@pytest.mark.parametrize(
    ("caller", "listener", "agreed"),
    [
        ("", "", None),
        ("", "fec,cols:10", None),
        ("fec,cols:10", "", "fec,cols:10"),
        ("fec,cols:10,rows:5", "fec,layout:even", "fec,arq:onreq,cols:10,layout:even,rows:5"),
        ("fec", "fec,cols:7,arq:always", "fec,arq:always,cols:7,layout:staircase,rows:1"),
    ],
)
def test_both_sides_agree_upon_one_filter(caller: str, listener: str, agreed: str | None) -> None:
    pair = Pair(caller=SrtOptions(packet_filter=caller), listener=SrtOptions(packet_filter=listener))
    sender, receiver = pair.connect()
    expected = None if agreed is None else settings(agreed)
    assert sender.agreement.packet_filter == receiver.agreement.packet_filter == expected
    assert sender.agreement.payload_limit == 1316


def test_the_parity_takes_room_from_the_largest_payload() -> None:
    pair = Pair(
        caller=SrtOptions(packet_filter="fec,cols:10", payload_size=0), listener=SrtOptions(payload_size=0)
    )
    sender, _ = pair.connect()
    assert sender.agreement.payload_limit == 1500 - 44 - 4
    assert sender.agreement.protected_size == 1452


@pytest.mark.parametrize(
    ("caller", "listener"), [("fec,cols:10", "fec,cols:9"), ("fec", ""), ("fec", "fec,rows:5")]
)
def test_filters_that_differ_are_refused_and_both_sides_know_why(caller: str, listener: str) -> None:
    pair = Pair(caller=SrtOptions(packet_filter=caller), listener=SrtOptions(packet_filter=listener))
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: pair.refused is not None)
    assert pair.refused is not None
    assert pair.refused.code == RejectionReason.FILTER


def test_a_configuration_that_cannot_be_is_refused_when_it_is_set() -> None:
    with pytest.raises(
        InvalidOption, match="cols is 1, must be at least 2; write packet_filter='fec,cols:10,rows:5'"
    ):
        SrtOptions(packet_filter="fec,cols:1")
    with pytest.raises(InvalidOption, match="a matrix of 20000"):
        SrtOptions(packet_filter="fec,cols:100,rows:200")


def test_statistics_speak_of_the_filter_in_libsrts_words() -> None:
    pair = Pair(caller=SrtOptions(packet_filter="fec,cols:10"), forth=Link(drop=Every(23)))
    sender, receiver = pair.connect()
    _stream(pair, 100)
    sent = snapshot(sender, now=pair.now).to_libsrt()
    received = snapshot(receiver, now=pair.now).to_libsrt()
    assert sent["pktSndFilterExtra"] == received["pktRcvFilterExtra"] == 10
    assert received["pktRcvFilterSupply"] == 4
    assert received["pktRcvFilterLoss"] == 0
