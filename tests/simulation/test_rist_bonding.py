"""One flow over two to four paths that lose, lag, reorder, fail and return."""

from __future__ import annotations

import json
import random

import pytest
import trio
from trio.testing import MockClock

from terzetto import Reconnection, open_rist_receiver, open_rist_sender
from terzetto.errors import AllPathsFailed, InvalidOption, UnsupportedOperation
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.api import RistReceiver, RistSender
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import (
    OutOfBandReceived,
    PathDown,
    PathReweighted,
    PathUp,
    ReconnectGivenUp,
    ReconnectScheduled,
)
from terzetto.rist.group import Group
from terzetto.rist.options import RistKnobs, RistOptions
from terzetto.rist.runtime import Runtime
from terzetto.testing import deterministic_scheduling
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_paths import Paths, stream_over_paths

# Seeds decide all of it, and come out the same on every Python.
pytestmark = pytest.mark.slow

GOOD = LinkConditions(delay=0.01)


def conditions_of(seed: int) -> list[LinkConditions]:
    """Two to four paths, none of them good."""
    luck = random.Random(seed)
    return [
        LinkConditions(
            loss=luck.uniform(0, 0.3), delay=luck.uniform(0.01, 0.06), jitter=luck.uniform(0, 0.01)
        )
        for _ in range(luck.randint(2, 4))
    ]


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_the_paths_do_what_could_be_saved_is_delivered_once_in_order_and_in_time(
    seed: int, autojump_clock: MockClock
) -> None:
    luck = random.Random(seed)
    conditions = conditions_of(seed)
    weights = [luck.choice((0, 0, 1, 3)) for _ in conditions]

    async def trouble(paths: Paths) -> None:
        victim = luck.randrange(len(conditions))
        await trio.sleep(luck.uniform(0, 0.2))
        paths.cut(victim)
        await trio.sleep(luck.uniform(0.05, 0.4))
        paths.mend(victim)

    outcome, _ = await stream_over_paths(
        seed, conditions, packets=200, weights=weights, meanwhile=trouble, buffer=0.8
    )
    check_invariants(outcome, buffer=0.8, longest_delay=0.07)


@pytest.mark.parametrize("profile", ["simple", "main", "advanced"])
async def test_two_paths_that_lose_four_of_ten_deliver_everything(
    profile: str, autojump_clock: MockClock
) -> None:
    bad = LinkConditions(loss=0.4, delay=0.02)
    knobs: RistKnobs = {"profile": "simple"}
    if profile == "main":
        knobs = {"profile": "main", "secret": "carry both"}
    elif profile == "advanced":
        knobs = {"profile": "advanced", "secret": "carry both"}
    outcome, _ = await stream_over_paths(5, [bad, bad], packets=1000, **knobs)
    assert outcome.payloads == outcome.sent
    assert outcome.receiver.unrecovered == 0
    one, two = outcome.receiver.paths
    assert one.media_received
    assert two.media_received


@pytest.mark.parametrize("weights", [(0, 0), (1, 1), (5, 1)])
async def test_a_path_cut_in_the_middle_loses_nothing_and_is_told(
    weights: tuple[int, int], autojump_clock: MockClock
) -> None:
    async def pull_the_cable(paths: Paths) -> None:
        await trio.sleep(1)
        paths.cut(0)
        await trio.sleep(4)
        paths.mend(0)

    outcome, paths = await stream_over_paths(
        1,
        [GOOD, LinkConditions(delay=0.03)],
        packets=2000,
        interval=0.004,
        weights=weights,
        meanwhile=pull_the_cable,
    )
    assert outcome.payloads == outcome.sent
    told = [
        (who, type(event), event.path)
        for who, event in paths.events
        if isinstance(event, (PathDown, PathUp)) and event.path == 0
    ]
    # In the end the sender closes every path.
    for who in ("sender", "receiver"):
        assert [kind for name, kind, _ in told if name == who][:3] == [PathUp, PathDown, PathUp]
    assert not [event for _, event in paths.events if isinstance(event, PathDown) and event.path == 1][2:]


@pytest.mark.parametrize(("weights", "one_way", "buffer"), [((1, 1), True, 1.0), ((3, 1), False, 0.5)])
async def test_a_cut_path_costs_nothing_where_the_receiver_asks_over_it_as_librist_does(
    weights: tuple[int, int],
    one_way: bool,
    buffer: float,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # libRIST asks by the nearest path that its session has not given up, and that takes longer than the buffer.
    monkeypatch.setattr(Inflow, "_leg_to_ask", lambda inflow, now: inflow.legs[0])

    async def pull_the_cable(paths: Paths) -> None:
        await trio.sleep(0.8)
        if one_way:
            paths.links[0][0].cut()
        else:
            paths.cut(0)

    outcome, _ = await stream_over_paths(
        1, [GOOD, GOOD], packets=500, interval=0.004, weights=weights, meanwhile=pull_the_cable, buffer=buffer
    )
    assert outcome.payloads == outcome.sent
    swallowed = 250 * buffer / 2 * weights[0] / sum(weights)  # before it is doubted
    assert swallowed < outcome.sender.rescued < 2.5 * swallowed


async def test_weights_are_followed_within_two_per_cent(autojump_clock: MockClock) -> None:
    outcome, _ = await stream_over_paths(3, [GOOD, GOOD, GOOD], packets=2000, weights=[5, 3, 2])
    assert outcome.payloads == outcome.sent
    for path, share in zip(outcome.sender.paths, (0.5, 0.3, 0.2), strict=True):
        assert abs(path.media_sent / outcome.sender.sent - share) <= 0.02
    assert outcome.sender.retransmitted == 0
    told = json.loads(json.dumps([outcome.sender.as_librist(), outcome.receiver.as_librist()]))
    assert [peer["stats"]["sent"] for peer in told[0]["sender-stats"]["peers"]] == [
        path.media_sent for path in outcome.sender.paths
    ]
    assert [peer["id"] for peer in told[1]["receiver-stats"]["flowinstant"]["peers"]] == [1, 2, 3]


async def test_a_path_that_loses_more_carries_less_until_it_does_better(autojump_clock: MockClock) -> None:
    parts: list[PathReweighted] = []
    shares: list[int] = []

    async def go_bad_and_well_again(paths: Paths) -> None:
        there, _ = paths.links[0]
        there.change(LinkConditions(delay=0.01, loss=0.3))
        await trio.sleep(6)
        before = paths.sender.statistics().paths
        await trio.sleep(2)
        after = paths.sender.statistics().paths
        shares.extend(new.media_sent - old.media_sent for new, old in zip(after, before, strict=True))
        parts.extend(event for _, event in paths.events if isinstance(event, PathReweighted))
        there.change(GOOD)

    outcome, paths = await stream_over_paths(
        3,
        [GOOD, GOOD],
        packets=3000,
        interval=0.01,
        weights=[1, 1],
        meanwhile=go_bad_and_well_again,
        reweight=True,
    )
    assert outcome.payloads == outcome.sent
    assert {event.path for event in parts} == {0}
    assert min(event.part for event in parts) <= 0.25
    assert shares[0] < shares[1] / 2
    told = [event.part for _, event in paths.events if isinstance(event, PathReweighted)]
    assert told[-1] > 0.7  # and on its way to all of it


async def test_a_receiver_that_was_kept_from_reading_reads_every_path_before_it_gives_anything_up(
    autojump_clock: MockClock,
) -> None:
    async def stand_still(paths: Paths) -> None:
        del paths
        for _ in range(10):
            await trio.sleep(0.2)
            autojump_clock.jump(0.203)  # what waits to be read now is due then, but not yet too late

    outcome, _ = await stream_over_paths(
        3, [GOOD, GOOD], packets=1000, weights=[1, 1], meanwhile=stand_still, buffer=0.2
    )
    assert outcome.payloads == outcome.sent
    assert outcome.receiver.unrecovered == outcome.receiver.too_late == 0


async def test_a_path_without_a_weight_carries_all_beside_those_that_share(
    autojump_clock: MockClock,
) -> None:
    outcome, _ = await stream_over_paths(3, [GOOD, GOOD, GOOD], packets=400, weights=[0, 1, 1])
    assert [path.media_sent for path in outcome.sender.paths] == [400, 200, 200]


async def test_weights_change_while_media_flows(autojump_clock: MockClock) -> None:
    async def shift(paths: Paths) -> None:
        await trio.sleep(1)
        paths.sender.set_weight(0, 9)

    outcome, _ = await stream_over_paths(3, [GOOD, GOOD], packets=1000, weights=[1, 1], meanwhile=shift)
    one, two = outcome.sender.paths
    assert one.media_sent + two.media_sent == 1000
    assert abs(one.media_sent - (250 + 450)) < 20


@pytest.mark.parametrize("weights", [(0, 0), (1, 1)])
async def test_a_path_that_lags_costs_no_requests_and_stalls_nothing(
    weights: tuple[int, int], autojump_clock: MockClock
) -> None:
    outcome, _ = await stream_over_paths(
        2, [GOOD, LinkConditions(delay=0.15)], packets=1000, weights=weights, buffer=1.0
    )
    assert outcome.payloads == outcome.sent
    # Until it is known by how much one path lags, its packets are asked for.
    assert outcome.receiver.requests < 120
    late = [
        at - outcome.sent_at[int.from_bytes(packet.payload[:4], "big")]
        for packet, at in zip(outcome.delivered, outcome.delivered_at, strict=True)
    ]
    assert max(late) < 1.0 + 0.15 + 0.05


async def test_a_path_that_lags_by_more_than_the_buffer_is_simply_of_no_use(
    autojump_clock: MockClock,
) -> None:
    outcome, _ = await stream_over_paths(
        2, [GOOD, LinkConditions(delay=1.0)], packets=1000, buffer=0.2, rtt_max=1.0
    )
    assert outcome.payloads == outcome.sent
    check_invariants(outcome, buffer=0.2, longest_delay=0.01)


async def test_requests_go_where_answers_come_from(autojump_clock: MockClock) -> None:
    # The near path loses nearly all; the far one is asked although it is slower.
    near, far = LinkConditions(loss=0.9, delay=0.005), LinkConditions(loss=0.1, delay=0.05)
    outcome, _ = await stream_over_paths(4, [near, far], packets=1500, buffer=1.0)
    assert len(outcome.payloads) == len(outcome.sent)
    one, two = outcome.receiver.paths
    assert two.requests > one.requests


async def test_a_path_whose_sockets_fail_is_told_and_opened_again(autojump_clock: MockClock) -> None:
    async def break_the_socket(paths: Paths) -> None:
        await trio.sleep(0.5)
        group = paths.sender._runtime
        assert isinstance(group, Group)
        runtime = group.paths[0].runtime
        assert runtime is not None
        runtime._endpoints[0].close()  # as when an interface goes away under it

    outcome, paths = await stream_over_paths(
        6, [GOOD, GOOD], packets=1000, interval=0.004, meanwhile=break_the_socket
    )
    assert outcome.payloads == outcome.sent
    told = [
        type(event)
        for who, event in paths.events
        if who == "sender"
        and (
            isinstance(event, ReconnectScheduled)
            or (isinstance(event, (PathDown, PathUp)) and event.path == 0)
        )
    ]
    assert told[:3] == [PathUp, PathDown, ReconnectScheduled]
    assert PathUp in told[3:]


def runtimes_of(stream: RistSender | RistReceiver, both: bool) -> list[Runtime[Sender] | Runtime[Receiver]]:
    group = stream._runtime
    assert isinstance(group, Group)
    return [*group.runtimes()][: 2 if both else 1]


@pytest.mark.parametrize("both", [False, True])
async def test_paths_that_are_given_up_fail_the_stream_with_the_last_one(
    both: bool, autojump_clock: MockClock
) -> None:
    host = SimulatedNetwork(1).add_host("alice")
    knobs: RistKnobs = {"one_way": True, "reconnect": None}
    urls = ["rist://192.0.2.1:5000", "rist://192.0.2.2:5000"]
    with use_network(host):
        async with (
            open_rist_sender(urls, **knobs) as sender,
            open_rist_receiver(
                ["rist://@:6000", "rist://@:6002"], reconnect=Reconnection(initial=0.1, most_attempts=1)
            ) as receiver,
        ):
            for runtime in runtimes_of(sender, both) + runtimes_of(receiver, both):
                runtime._endpoints[0].close()
            await trio.sleep(1)
            assert len(sender.paths) == 2
            if not both:
                await sender.send_packet(b"by the other path")
                with trio.move_on_after(1) as waiting:
                    await receiver.receive_packets()
                assert waiting.cancelled_caught
                return
            with pytest.raises(AllPathsFailed) as refused:
                await sender.send_packet(b"by which path?")
            assert len(refused.value.causes) == 2
            with pytest.raises(AllPathsFailed):
                await receiver.receive_packets()
            told = [type(event) async for event in receiver.events()]
            assert told.count(ReconnectGivenUp) == 2


async def test_data_beside_the_stream_takes_whichever_path_is_there(autojump_clock: MockClock) -> None:
    async def talk(paths: Paths) -> None:
        assert await paths.sender.send_oob(b"there")
        assert await paths.receiver.receive_oob() == OutOfBandReceived(0x0800, b"there", path=0)
        paths.cut(0)
        with trio.fail_after(5):
            while paths.sender.statistics().paths[0].connected:  # noqa: ASYNC110
                await trio.sleep(0.1)
        assert await paths.sender.send_oob(b"by the other", 0x1234)
        assert await paths.receiver.receive_oob() == OutOfBandReceived(0x1234, b"by the other", path=1)
        assert await paths.receiver.send_oob(b"back")
        assert await paths.sender.receive_oob() == OutOfBandReceived(0x0800, b"back", path=1)
        told.append("all")
        with pytest.raises(trio.ClosedResourceError):
            await paths.sender.receive_oob()
        told.append("the end")

    told: list[str] = []
    outcome, _ = await stream_over_paths(
        6, [GOOD, GOOD], packets=400, interval=0.01, profile="main", meanwhile=talk
    )
    assert outcome.payloads == outcome.sent
    assert told == ["all", "the end"]


async def test_simple_paths_have_nothing_beside_the_stream(autojump_clock: MockClock) -> None:
    with use_network(SimulatedNetwork(1).add_host("alice")):
        async with open_rist_receiver(["rist://@:5000"], profile="simple") as receiver:
            with pytest.raises(UnsupportedOperation, match="Simple profile"):
                await receiver.receive_oob()


async def test_paths_that_cannot_carry_one_flow_are_refused(autojump_clock: MockClock) -> None:
    with use_network(SimulatedNetwork(1).add_host("alice")):
        with pytest.raises(InvalidOption, match="differently"):
            async with open_rist_sender(["rist://192.0.2.1:5000", "rist://192.0.2.2:5000?rtp-ptype=96"]):
                pass
        with pytest.raises(InvalidOption, match="no URL"):
            async with open_rist_sender([]):
                pass
        async with open_rist_sender("rist://192.0.2.1:5000") as sender:
            with pytest.raises(UnsupportedOperation, match="one path for good"):
                await sender.add_path("rist://192.0.2.2:5000")
        async with open_rist_sender(["rist://192.0.2.1:5000"]) as sender:
            with pytest.raises(InvalidOption, match="the last one"):
                await sender.remove_path(0)
            with pytest.raises(InvalidOption, match="no path 7"):
                sender.set_weight(7, 1)


async def test_paths_come_and_go_while_media_flows(autojump_clock: MockClock) -> None:
    async def rebuild(paths: Paths) -> None:
        await trio.sleep(0.5)
        await paths.sender.remove_path(0)
        assert list(paths.sender.paths) == [1]
        await trio.sleep(0.5)
        with_path = await paths.sender.add_path("rist://10.9.0.2:5000")
        assert with_path == 2

    outcome, _ = await stream_over_paths(6, [GOOD, GOOD], packets=1000, meanwhile=rebuild)
    assert outcome.payloads == outcome.sent
    assert [path.path for path in outcome.sender.paths] == [1, 2]
    assert outcome.sender.paths[1].media_sent > 200


def test_the_same_seed_gives_the_same_run() -> None:
    async def run() -> str:
        outcome, _ = await stream_over_paths(11, conditions_of(11), packets=100)
        return outcome.trace_hash

    hashes = []
    for _ in range(2):
        with deterministic_scheduling(11):
            hashes.append(trio.run(run, clock=MockClock(autojump_threshold=0)))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("knobs", "weights", "loss"),
    [
        ({"profile": "simple", "split": "half", "merge": "pairs"}, (1, 1), 0.1),
        ({"profile": "main", "secret": "by halves", "split": "auto", "merge": "auto"}, (1, 1), 0.1),
        ({"profile": "advanced", "split": "half", "merge": "auto"}, (0, 0), 0.3),
        ({"profile": "simple", "split": "half", "merge": "pairs", "fec": "cols:5,rows:5"}, (1, 1), 0.05),
    ],
)
async def test_halves_travel_by_different_paths_and_come_out_whole(
    knobs: RistKnobs, weights: tuple[int, int], loss: float, autojump_clock: MockClock
) -> None:
    bad = LinkConditions(loss=loss, delay=0.01)
    outcome, _ = await stream_over_paths(
        5, [bad, LinkConditions(loss=loss, delay=0.04)], weights=weights, **knobs
    )
    assert outcome.payloads == outcome.sent
    assert outcome.sender.sent == 2 * len(outcome.sent)
    if any(weights):
        assert [path.media_sent for path in outcome.sender.paths] == [len(outcome.sent)] * 2
    assert {packet.sequence & 1 for packet in outcome.delivered} == {0}
    assert outcome.receiver.recovered > 20


async def test_halves_stay_halves_where_nobody_merges(autojump_clock: MockClock) -> None:
    outcome, _ = await stream_over_paths(5, [GOOD], packets=50, split="half")
    assert len(outcome.delivered) == 100
    assert b"".join(outcome.payloads) == b"".join(outcome.sent)


def test_what_else_cuts_payloads_does_not_go_with_halves() -> None:
    with pytest.raises(InvalidOption, match="fragment_size"):
        RistOptions(profile="advanced", split="half", fragment_size=500)
    with pytest.raises(InvalidOption, match="nobody says that it splits"):
        RistOptions(profile="simple", merge="auto")
