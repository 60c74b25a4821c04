"""Handshakes on a network that loses, delays, repeats and reorders: every flight may be the one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import PeerTimedOut, WrongProtocol
from terzetto.net.endpoint import Run
from terzetto.net.simulated import LinkConditions, ScriptedLoss
from tests.net.dtls.identities import AUTHORITY, CAMERA
from tests.net.dtls.worlds import CALLER_HOST, LISTENER_HOST, flat, why_refused, world
from tests.net.simulated.worlds import bind

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")

SMALL: dict[str, Any] = {"mtu": 400}
MUTUAL: dict[str, Any] = {"verify": "mutual", "ca": AUTHORITY.pem}
OWN: dict[str, Any] = {"certificate": CAMERA.pem, "private_key": CAMERA.key_pem}


@pytest.mark.parametrize("from_listener", [False, True], ids=["to listener", "from listener"])
@pytest.mark.parametrize("nth", range(1, 7))
async def test_any_one_datagram_of_a_handshake_may_be_lost(
    autojump_clock: MockClock, nth: int, from_listener: bool
) -> None:
    # Small datagrams and two certificates make many of them.
    async with world() as made:
        lossy, fine = LinkConditions(delay=0.02, loss=ScriptedLoss(nth)), LinkConditions(delay=0.02)
        made.connect(*((fine, lossy) if from_listener else (lossy, fine)))
        listener = made.listen(**SMALL, **MUTUAL)
        caller = made.call(**SMALL, **MUTUAL, **OWN)
        with trio.fail_after(3):
            await caller.wait_established()
        await caller.send([Run(made.address, [b"one"])])
        await trio.sleep(2)
        await caller.send([Run(made.address, [b"two"])])
        await trio.sleep(1)
        # The one lost datagram may have been the first with data; nothing repairs that here.
        assert made.heard[-1:] == [b"two"]
        statistics = listener.dtls_statistics()
        assert (statistics.sessions, statistics.established, statistics.handshakes) == (1, 1, 0)
        caller.close()


@pytest.mark.parametrize("seed", range(12))
async def test_a_handshake_survives_a_bad_network(autojump_clock: MockClock, seed: int) -> None:
    async with world(seed) as made:
        made.connect(
            LinkConditions(delay=0.05, jitter=0.02, loss=0.2, duplicate=0.2, reorder=0.3, reorder_by=0.04)
        )
        made.listen(**SMALL, handshake_timeout=60)
        caller = made.call(**SMALL, handshake_timeout=60)
        await caller.wait_established()
        sent = [b"%03d" % number for number in range(100)]
        for datagram in sent:
            await caller.send([Run(made.address, [datagram])])
            await trio.sleep(0.01)
        await trio.sleep(1)
        # A datagram that the network doubled is heard once, and nothing is heard that was not sent.
        assert len(made.heard) == len(set(made.heard)) > 60
        assert set(made.heard) <= set(sent)
        caller.close()


async def test_the_loss_of_every_last_flight_but_the_fifth_is_survived(autojump_clock: MockClock) -> None:
    async with world() as made:
        last_flights = ScriptedLoss(range(1, 5), matching=lambda datagram: datagram[0] == 20)
        made.connect(LinkConditions(delay=0.02), LinkConditions(delay=0.02, loss=last_flights))
        made.listen()
        caller = made.call()
        began = trio.current_time()
        await caller.wait_established()
        assert 3 < trio.current_time() - began < 9
        caller.close()


async def test_nobody_there_is_a_time_out_that_names_the_patience(autojump_clock: MockClock) -> None:
    async with world() as made:
        caller = made.call(handshake_timeout=7)
        began = trio.current_time()
        error = await why_refused(caller)
        assert isinstance(error, PeerTimedOut)
        assert "within 7 s" in str(error)
        assert trio.current_time() - began == pytest.approx(7)
        # Doubling: at 0, 0.5, 1.5, 3.5 seconds.
        assert sum(packet.is_on_a_link for packet in made.network.trace.packets) == 4


async def test_somebody_who_speaks_another_protocol_is_named(autojump_clock: MockClock) -> None:
    async with world() as made:
        other = bind(made.studio, 5000, LISTENER_HOST)

        async def answer_in_clear() -> None:
            while True:
                for run in await other.receive():
                    await other.send([run._replace(datagrams=[b"\x10\x00\x88\xb6" + bytes(20)])])

        made.nursery.start_soon(answer_in_clear)
        error = await why_refused(made.call())
        assert isinstance(error, WrongProtocol)
        other.close()


async def test_cancelling_a_handshake_leaves_an_endpoint_that_can_be_used(autojump_clock: MockClock) -> None:
    async with world() as made:
        caller = made.call()
        with trio.move_on_after(1.2):
            await caller.wait_established()
        made.listen()
        await caller.wait_established()
        caller.close()


async def test_replays_and_late_repeats_are_not_delivered_twice(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        inner = bind(made.camera, 0, CALLER_HOST)
        caller = made.call(inner)
        await caller.wait_established()
        await caller.send([Run(made.address, [b"%d" % number for number in range(20)])])
        await trio.sleep(0.1)
        recorded = [
            packet.datagram
            for packet in made.network.trace.packets
            if packet.datagram[0] == 23 and packet.source.host == CALLER_HOST
        ]
        assert len(recorded) == 20
        await inner.send([Run(made.address, recorded)] * 3)
        await trio.sleep(0.1)
        assert made.heard == [b"%d" % number for number in range(20)]
        assert made.listener.dtls_statistics().dropped["forged or repeated"] == 60
        caller.close()


async def test_what_arrives_in_another_order_is_delivered_in_that_order(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        inner = bind(made.camera, 0, CALLER_HOST)
        caller = made.call(inner)
        await caller.wait_established()
        there, _ = made.network.links_between(CALLER_HOST, LISTENER_HOST)
        there.cut()
        sent = [b"%d" % number for number in range(40)]
        await caller.send([Run(made.address, sent)])
        recorded = [packet.datagram for packet in made.network.trace.packets if packet.datagram[0] == 23]
        there.mend()
        order = list(range(40))
        Random(1).shuffle(order)
        await inner.send([Run(made.address, [recorded[index] for index in order])])
        await trio.sleep(0.1)
        assert made.heard == [sent[index] for index in order]
        caller.close()


async def test_data_that_overtakes_the_last_flight_waits_for_it(autojump_clock: MockClock) -> None:
    async with world() as made:
        # The last flight comes late, the data right after it in time.
        made.connect(LinkConditions(delay=0.02), LinkConditions(delay=0.02))
        listener, caller = made.listen(), made.call()
        _, back = made.network.links_between(made.camera, made.studio)

        async def greet() -> None:
            while not listener.peers():  # noqa: ASYNC110
                await trio.sleep(0.001)
            back.change(LinkConditions(delay=0.005))
            await listener.send([Run(listener.peers()[0].address, [b"welcome"])])

        made.nursery.start_soon(greet)
        await caller.wait_established()
        with trio.fail_after(1):
            assert flat(await caller.receive()) == [b"welcome"]
        caller.close()
