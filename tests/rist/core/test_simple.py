"""The Simple profile's dialect, and whole cores under any input."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.profile import FEEDBACK, MEDIA
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.events import PacketsReady, RistPacket
from terzetto.rist.options import RistOptions, TimingMode
from terzetto.testing import check_core
from tests.rist.core.pair import Pair, entropy

PEER = Address("192.0.2.1", 5000)
FLOW = 0x1234_5678


def translator(payload_type: int = 33) -> SimpleTranslator:
    return SimpleTranslator(payload_type=payload_type, nack_type="range")


def make_sender(*, remote: Address | None = PEER, **options: object) -> Sender:
    return Sender(
        translator(),
        Settings.of(RistOptions(**options)),  # type: ignore[arg-type]
        flow_id=FLOW,
        now=0,
        wall_clock_offset=1_700_000_000_000_000,
        entropy=entropy(3),
        remote=remote,
    )


def make_receiver(*, remote: Address | None = None, **options: object) -> Receiver:
    return Receiver(
        translator(),
        Settings.of(RistOptions(**options)),  # type: ignore[arg-type]
        now=0,
        wall_clock_offset=1_700_000_000_000_000,
        entropy=entropy(4),
        remote=remote,
    )


def media(n: int, *, repeat: bool = False, flow_id: int = FLOW, timestamp: int | None = None) -> Buffer:
    [datagram] = translator().encode_media(
        [b"%d" % n],
        first_sequence=n,
        timestamp=n * 90 if timestamp is None else timestamp,
        flow_id=flow_id,
        is_retransmission=repeat,
    )
    return datagram


def feedback(*said: say.Feedback) -> Buffer:
    [datagram] = translator().encode_feedback([say.ReceptionReport(1), say.Description(1, "peer"), *said])
    return datagram


# -- the dialect -----------------------------------------------------------------------------------------------------


def test_media_goes_to_an_even_port_and_reports_to_the_one_above() -> None:
    assert translator().feedback_address(PEER) == PEER._replace(port=5001)
    assert translator().media_address(PEER._replace(port=5001)) == PEER


def test_the_lowest_bit_of_the_flows_number_marks_repeats() -> None:
    assert bytes(media(7))[8:12].hex() == "12345678"
    assert bytes(media(7, repeat=True))[8:12].hex() == "12345679"
    assert bytes(media(7))[12:] == bytes(media(7, repeat=True))[12:]


def test_the_endpoint_tells_media_from_reports() -> None:
    run = Run(PEER, [media(1)], MEDIA)
    report = Run(PEER, [feedback()], FEEDBACK)
    kinds = [type(each) for each in translator().decode([run, report], now=0)]
    assert kinds == [say.MediaArrival, say.FeedbackArrival]


def test_a_payload_type_has_its_clock_both_ways() -> None:
    audio = translator(0)
    assert audio.clock_rate == 8000
    datagrams = audio.encode_media([b"x"], first_sequence=0, timestamp=0, flow_id=FLOW)
    [arrival] = translator(33).decode([Run(PEER, datagrams, MEDIA)], now=0)
    assert isinstance(arrival, say.MediaArrival)
    assert arrival.clock_rate == 8000


# -- conversations ---------------------------------------------------------------------------------------------------


def sent_by(core: Sender | Receiver, path: int) -> list[Buffer]:
    return [each for run in core.poll_transmits() if run.path == path for each in run.datagrams]


def test_a_report_leaves_before_the_first_media() -> None:
    sender = make_sender(fast_start=True)
    sender.send([b"x"], now=0)
    paths = [run.path for run in sender.poll_transmits()]
    assert paths[0] == FEEDBACK
    assert paths[-1] == MEDIA


def test_a_receiver_sends_nothing_before_it_knows_where_to() -> None:
    receiver = make_receiver()
    receiver.handle_datagrams([Run(PEER, [media(n) for n in (0, 1, 2, 6)], MEDIA)], now=0)
    for now in range(0, 1_000_000, 5_000):
        receiver.handle_timeout(now=now)
    assert receiver.poll_transmits() == []
    assert receiver.flow is not None
    assert receiver.flow.counters.requests == 0, "what cannot be asked is not spent"
    receiver.handle_datagrams([Run(PEER._replace(port=7001), [feedback()], FEEDBACK)], now=1_000_000)
    receiver.handle_timeout(now=1_100_000)
    assert {run.peer for run in receiver.poll_transmits()} == {PEER._replace(port=7001)}


@pytest.mark.parametrize("seconds", [5])
def test_one_way_nothing_comes_back_whatever_is_asked(seconds: int) -> None:
    sender, receiver = make_sender(one_way=True), make_receiver(one_way=True)
    sender.send([b"x"], now=0)
    asked = feedback(say.EchoRequest(1, 1), say.RepeatRequest(FLOW, [0]))
    sender.handle_datagrams([Run(PEER._replace(port=5001), [asked], FEEDBACK)], now=0)
    receiver.handle_datagrams([Run(PEER, [media(0), media(5)], MEDIA)], now=0)
    receiver.handle_datagrams([Run(PEER._replace(port=5001), [asked], FEEDBACK)], now=0)
    for now in range(0, seconds * 1_000_000, 50_000):
        sender.handle_timeout(now=now)
        receiver.handle_timeout(now=now)
    assert len(sent_by(sender, MEDIA)) == 1
    assert sent_by(receiver, FEEDBACK) == []
    sender.close(now=0)
    receiver.close(now=0)
    assert sender.poll_transmits() == receiver.poll_transmits() == []


def test_requests_under_either_of_the_flows_numbers_are_answered_and_others_are_not() -> None:
    pair = Pair(buffer_min=1.0, buffer_max=1.0, flow_id=FLOW)
    pair.connect()
    pair.stream(10)
    where = Address(PEER.host, 5001)
    pair.sender.poll_transmits()
    counters = pair.sender.counters
    asking = Run(Address("192.0.2.2", 5001), [], FEEDBACK)
    for ssrc, sequence in ((FLOW, 1), (FLOW | 1, 2), (FLOW + 2, 3)):
        run = asking._replace(datagrams=[feedback(say.RepeatRequest(ssrc, [sequence]))])
        pair.sender.handle_datagrams([run], now=pair.now)
    assert counters.retransmitted == 2
    assert counters.requested == 2
    stranger = Run(where._replace(host="203.0.113.9"), [feedback(say.RepeatRequest(FLOW, [4]))], FEEDBACK)
    pair.sender.handle_datagrams([stranger], now=pair.now)
    assert counters.retransmitted == 2


def test_a_storm_of_requests_costs_no_more_than_the_bandwidth() -> None:
    pair = Pair(bandwidth=1000, congestion_control=0, max_retries=100, flow_id=FLOW)
    pair.connect()
    for _ in range(200):
        pair.sender.send([bytes(1000)], now=pair.now)
        pair.run_until(pair.now + 10_000)
    pair.sender.poll_transmits()
    before = pair.sender.counters.retransmitted_bytes
    storm = Run(
        Address("192.0.2.2", 5001), [feedback(say.RepeatRequest(FLOW, list(range(100, 200))))], FEEDBACK
    )
    start = pair.now
    for _ in range(200):
        pair.sender.handle_datagrams([storm], now=pair.now)
        pair.run_until(pair.now + 5_000)
    repeated = pair.sender.counters.retransmitted_bytes - before
    rate = repeated * 8 * 1_000_000 / (pair.now - start)
    assert 500_000 < rate < 1_200_000
    assert pair.sender.counters.bandwidth_skipped > 1000


def test_the_return_bandwidth_caps_the_requests() -> None:
    capped = Pair(return_bandwidth=1, buffer_min=1.0, buffer_max=1.0, drop=lambda n, _: n > 50 and n % 2 == 0)
    free = Pair(buffer_min=1.0, buffer_max=1.0, drop=lambda n, _: n > 50 and n % 2 == 0)
    for pair in (capped, free):
        pair.connect()
        pair.stream(3000)
    flow, other = capped.receiver.flow, free.receiver.flow
    assert flow is not None
    assert other is not None
    # A kilobit is 31 requests a second, after a first burst.
    assert flow.counters.requests <= 1500 // 4 + 4 * 32
    assert other.counters.requests > 3 * flow.counters.requests


def test_after_a_goodbye_the_next_receiver_is_greeted_like_the_first() -> None:
    pair = Pair(flow_id=FLOW)
    pair.connect()
    pair.stream(3)
    pair.run_until(pair.now + 200_000)
    pair.receiver.close(now=pair.now)
    pair.drain()
    pair.drop = pair.drop_feedback = lambda *_: True
    pair.run_until(pair.now + 50_000)
    assert not pair.sender.peer.is_connected
    assert pair.sender.counters.tail_probes <= 3
    pair.drop = pair.drop_feedback = None
    pair.receiver = make_receiver()
    pair.connect()
    before = pair.sender.counters.sent
    pair.sender.send([b"again"], now=pair.now)
    first = sent_by(pair.sender, MEDIA)
    assert pair.sender.counters.sent == before + 1
    assert len(first) == 2, "libRIST's receivers pass over the first packet, so it goes twice"
    assert first[0] == first[1]


def test_a_straggler_from_before_a_restart_does_not_bring_the_old_flow_back() -> None:
    receiver = make_receiver(buffer_min=0.1, buffer_max=0.1)
    for n in range(10):
        receiver.handle_datagrams([Run(PEER, [media(1000 + n)], MEDIA)], now=n * 1000)
    for n in range(10):
        receiver.handle_datagrams([Run(PEER, [media(n, flow_id=FLOW + 2)], MEDIA)], now=(20 + n) * 1000)
        receiver.handle_datagrams([Run(PEER, [media(1010 + n)], MEDIA)], now=(20 + n) * 1000)
        repeat = media(1003, repeat=True, flow_id=FLOW + 4)
        receiver.handle_datagrams([Run(PEER, [repeat], MEDIA)], now=(20 + n) * 1000)
    assert receiver.flow is not None
    assert receiver.flow.flow_id == FLOW + 2
    receiver.handle_timeout(now=1_000_000)
    out = [
        packet
        for event in receiver.poll_events()
        if isinstance(event, PacketsReady)
        for packet in event.packets
    ]
    assert [packet.payload for packet in out] == [b"%d" % n for n in [*range(1000, 1010), *range(10)]]
    assert receiver.flow.counters.too_late == 20


@pytest.mark.parametrize("payload_type", [0, 17, 21, 33])
def test_every_clock_keeps_the_streams_time(payload_type: int) -> None:
    pair = Pair(buffer_min=0.1, buffer_max=0.1, rtp_ptype=payload_type)
    pair.connect()
    sent = pair.stream(500, interval=20_000)
    pair.run_until(pair.now + 1_000_000)
    assert [packet.payload for packet in pair.delivered] == sent
    assert pair.receiver.flow is not None
    assert pair.receiver.flow.counters.clock_resyncs == 0


def test_a_late_joiners_report_of_the_newest_packet_ends_the_tail_probes() -> None:
    pair = Pair(flow_id=FLOW)
    pair.sender.history.next_sequence = pair.sender.history._oldest = 3 * 65_536 + 500
    pair.connect()
    pair.stream(3)
    pair.run_until(pair.now + 1_000_000)
    assert pair.sender.counters.tail_probes <= 4


# -- any input -------------------------------------------------------------------------------------------------------

COMMANDS: list[Callable[[Sender, int], object]] = [
    lambda core, now: core.send([b"payload"] * 3, now=now),
    lambda core, now: core.send([], now=now),
    lambda core, now: core.outflow.set_bandwidth(now % 10_000_000),
    lambda core, now: core.close(now=now),
]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("remote", [PEER, None])
def test_a_sender_keeps_the_promises_of_a_core(seed: int, remote: Address | None) -> None:
    check_core(
        lambda: make_sender(remote=remote, fast_start=seed % 2 == 0), commands=COMMANDS, peer=PEER, seed=seed
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("timing_mode", list(TimingMode))
def test_a_receiver_keeps_the_promises_of_a_core(seed: int, timing_mode: TimingMode) -> None:
    longest = 0.05 if seed % 2 else 0.5
    check_core(
        lambda: make_receiver(timing_mode=timing_mode, buffer_min=0.05, buffer_max=longest),
        commands=[lambda core, now: core.close(now=now)],
        peer=PEER,
        seed=seed,
    )


sequences = st.integers(0, 0xFFFF) | st.integers(0, 40) | st.integers(65_500, 65_535)
timestamps = st.integers(0, 0xFFFF_FFFF) | st.integers(0, 40).map(lambda n: n * 900)
arrivals = st.one_of(
    st.builds(
        lambda n, timestamp, repeat, flow: (
            MEDIA,
            media(n, repeat=repeat, timestamp=timestamp, flow_id=flow),
        ),
        sequences,
        timestamps,
        st.booleans(),
        st.sampled_from([FLOW, FLOW, FLOW, FLOW + 2]),
    ),
    st.builds(lambda data: (MEDIA, data), st.binary(max_size=60)),
    st.builds(lambda data: (FEEDBACK, data), st.binary(max_size=60)),
    st.builds(
        lambda ntp, timestamp: (FEEDBACK, feedback(say.SourceReport(FLOW, ntp, timestamp, 0, 0))),
        st.integers(0, 2**64 - 1),
        timestamps,
    ),
    st.just((FEEDBACK, feedback(say.EchoRequest(1, 1)))),
    st.just((FEEDBACK, feedback(say.Goodbye(FLOW)))),
)


@given(
    steps=st.lists(st.tuples(st.integers(0, 300_000), st.lists(arrivals, max_size=4)), max_size=40),
    timing_mode=st.sampled_from(TimingMode),
    buffers=st.sampled_from([(0.05, 0.05), (0.02, 0.5)]),
)
def test_whatever_arrives_a_receiver_delivers_in_order_and_counts_it(
    steps: list[tuple[int, list[tuple[int, Buffer]]]],
    timing_mode: TimingMode,
    buffers: tuple[float, float],
) -> None:
    receiver = make_receiver(timing_mode=timing_mode, buffer_min=buffers[0], buffer_max=buffers[1])
    now = 0
    out: list[RistPacket] = []
    longest_wait = round(buffers[1] * 1_000_000) + 1_100_000

    def advance(until: int) -> None:
        nonlocal now
        for _ in range(100_000):
            due = receiver.next_timeout()
            if due is None or due > until:
                break
            now = max(now, due)
            receiver.handle_timeout(now=now)
            collect()
        else:
            raise AssertionError("the receiver spins")
        now = until

    def collect() -> None:
        receiver.poll_transmits()
        for event in receiver.poll_events():
            if isinstance(event, PacketsReady):
                out.extend(event.packets)

    for pause, datagrams in steps:
        advance(now + pause)
        receiver.handle_datagrams(
            [Run(PEER._replace(port=5000 + path), [data], path) for path, data in datagrams], now=now
        )
        collect()
    advance(now + longest_wait)
    flow = receiver.flow
    if flow is None:
        assert out == []
        return
    assert flow.waiting == 0, "a packet was held back for ever"
    counters = flow.counters
    assert counters.delivered == len(out)
    assert counters.lost == counters.recovered + counters.unrecovered
    by_flow: list[list[RistPacket]] = []
    for packet in out:
        if not by_flow or by_flow[-1][-1].flow_id != packet.flow_id:
            by_flow.append([])
        by_flow[-1].append(packet)
    for packets in by_flow:
        for before, after in itertools.pairwise(packets):
            # A restart under the same number begins a new series, the only way numbers may fall.
            if after.sequence > before.sequence:
                assert after.sequence - before.sequence == after.lost_before + 1


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 300_000),
            st.integers(0, 20),
            st.lists(
                st.one_of(
                    st.binary(max_size=80),
                    st.builds(
                        lambda ssrc, asked: feedback(say.RepeatRequest(ssrc, asked)),
                        st.sampled_from([FLOW, FLOW | 1, 7]),
                        st.lists(st.integers(0, 0xFFFF) | st.integers(0, 100), max_size=50),
                    ),
                    st.just(feedback(say.Goodbye(1))),
                    st.just(feedback(say.EchoRequest(1, 1, b"pad!" * 20))),
                ),
                max_size=4,
            ),
        ),
        max_size=30,
    ),
    seed=st.integers(0, 1000),
)
def test_whatever_is_asked_a_sender_answers_within_reason(
    steps: list[tuple[int, int, list[Buffer]]], seed: int
) -> None:
    chance = random.Random(seed)
    sender = make_sender()
    now = 0
    for pause, count, datagrams in steps:
        now += pause
        due = sender.next_timeout()
        while due is not None and due <= now:
            sender.handle_timeout(now=now)
            due = sender.next_timeout()
        sender.send([chance.randbytes(20) for _ in range(count)], now=now)
        sender.handle_datagrams([Run(PEER._replace(port=5001), datagrams, FEEDBACK)], now=now)
        sender.poll_events()
        for run in sender.poll_transmits():
            assert run.datagrams
            assert run.peer == (PEER if run.path == MEDIA else PEER._replace(port=5001))
    counters = sender.counters
    refused = (
        counters.over_the_limit
        + counters.not_found
        + counters.too_old
        + counters.exhausted
        + counters.suppressed
        + counters.bandwidth_skipped
    )
    assert counters.requested == counters.retransmitted + refused
