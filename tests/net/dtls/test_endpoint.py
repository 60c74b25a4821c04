"""Datagrams between two ends on the simulated network: the happy way, goodbyes, silence, and what cannot be sent."""

from __future__ import annotations

import sys

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import ConnectionRefusedByPeer, MissingExtra, PeerTimedOut, UnsupportedOperation
from terzetto.net.dtls import (
    CipherSuite,
    DtlsEnded,
    DtlsEndpoint,
    DtlsEstablished,
    DtlsOptions,
    wrap_endpoint,
)
from terzetto.net.endpoint import Address, DatagramEndpoint, Run
from terzetto.net.network import use_network
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.testing import check_endpoint
from tests.net.dtls.identities import STUDIO, make_identity
from tests.net.dtls.worlds import CALLER, CALLER_HOST, LISTENER, LISTENER_HOST, World, flat, world
from tests.net.simulated.worlds import bind

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")


async def test_datagrams_pass_both_ways_and_are_not_readable_between(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        peer = await caller.wait_established()
        assert peer.address == made.address
        assert peer.fingerprint == STUDIO.fingerprint
        await caller.send([Run(made.address, [b"a secret", bytes(range(256)) * 5])])
        await trio.sleep(0.1)
        assert made.heard == [b"a secret", bytes(range(256)) * 5]
        await listener.send([Run(caller.local_address, [b"another secret"])])
        assert flat(await caller.receive()) == [b"another secret"]
        on_the_wire = b"".join(packet.datagram for packet in made.network.trace.packets)
        assert len(on_the_wire) > 2000
        assert b"secret" not in on_the_wire
        caller.close()


async def test_an_established_pair_keeps_the_promises_of_an_endpoint(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    camera = network.add_host("camera", CALLER_HOST)
    studio = network.add_host("studio", LISTENER_HOST)

    async def open_pair() -> tuple[DatagramEndpoint, DatagramEndpoint]:
        inner = bind(studio, 0, LISTENER_HOST)
        with use_network(studio):
            listener = wrap_endpoint(inner, LISTENER)
        with use_network(camera):
            caller = wrap_endpoint(bind(camera, 0, CALLER_HOST), CALLER, remote=inner.local_address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.receive)
            await caller.wait_established()
            while not listener.peers():  # noqa: ASYNC110
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        return caller, listener

    await check_endpoint(open_pair, carries_empty=False)


async def test_a_listener_serves_many_peers_at_once(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener = made.listen()
        callers = [made.call() for _ in range(5)]
        async with trio.open_nursery() as nursery:
            for caller in callers:
                nursery.start_soon(caller.wait_established)
        await trio.sleep(0.1)
        assert {peer.address for peer in listener.peers()} == {caller.local_address for caller in callers}
        for number, caller in enumerate(callers):
            await listener.send([Run(caller.local_address, [b"for number %d" % number])])
        for number, caller in enumerate(callers):
            assert flat(await caller.receive()) == [b"for number %d" % number]
            caller.close()


async def test_closing_says_goodbye_and_the_peer_knows_at_once(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        await caller.wait_established()
        await trio.sleep(0.1)
        assert [type(event) for event in listener.poll_events()] == [DtlsEstablished]
        await caller.aclose()
        await trio.sleep(0.1)
        assert listener.poll_events() == [DtlsEnded(caller.local_address, None, was_established=True)]
        assert listener.peers() == []
        troubles = listener.poll_troubles()
        assert "ended the DTLS association" in troubles[-1].text
        assert {(each.peer, each.kind) for each in troubles} == {(caller.local_address, "refused")}


async def test_a_listener_that_closes_says_goodbye_to_everybody_and_may_be_called_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        await caller.wait_established()
        await trio.sleep(0.1)
        listener.close()
        await trio.sleep(0.1)
        assert caller.receive_nowait() == []
        assert [event for event in caller.poll_events() if isinstance(event, DtlsEnded)] == [
            DtlsEnded(made.address, None, was_established=True)
        ]
        made.listen()
        await caller.wait_established()
        await caller.send([Run(made.address, [b"again"])])
        await trio.sleep(0.1)
        assert made.heard == [b"again"]
        caller.close()


async def test_silence_ends_an_association_on_both_sides(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(idle_timeout=5), made.call(idle_timeout=5)
        await caller.wait_established()
        await trio.sleep(0.1)
        listener.poll_events()
        caller.poll_events()
        for link in made.network.links_between(CALLER_HOST, LISTENER_HOST):
            link.cut()
        began = trio.current_time()
        with trio.move_on_after(20):
            await caller.receive()
        (ended,) = caller.poll_events()
        assert isinstance(ended, DtlsEnded)
        assert isinstance(ended.error, PeerTimedOut)
        assert "silent for 5 s" in str(ended.error)
        assert trio.current_time() - began == pytest.approx(20)
        assert listener.peers() == []
        caller.close()


async def test_who_sends_now_and_then_is_not_idle(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(idle_timeout=5), made.call()
        await caller.wait_established()
        for _ in range(10):
            await trio.sleep(4)
            await caller.send([Run(made.address, [b"still here"])])
        await trio.sleep(0.1)
        assert len(made.heard) == 10
        assert len(listener.peers()) == 1
        caller.close()


async def test_what_does_not_fit_the_mtu_is_a_trouble_that_names_the_limit(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        caller = made.call(mtu=1000)
        await caller.wait_established()
        assert caller.payload_limit == 1000 - 13 - 24
        await caller.send([Run(made.address, [b"first", bytes(964), b"last", bytes(963)])])
        await trio.sleep(0.1)
        assert made.heard == [b"first", b"last", bytes(963)]
        (trouble,) = caller.poll_troubles()
        assert trouble.kind == "too_big"
        assert "964" in trouble.text
        assert "963" in trouble.text
        assert caller.dtls_statistics().unsent == 1
        assert max(len(packet.datagram) for packet in made.network.trace.packets) == 1000
        caller.close()


async def test_without_an_association_nothing_leaves_in_the_clear(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        await listener.send([Run(Address(CALLER_HOST, 9), [b"in the clear"])])
        await caller.send([Run(made.address, [b"in the clear"])])
        assert caller.send_nowait([Run(made.address, [b"in the clear"])]) == []
        assert made.network.trace.packets == []
        assert [trouble.kind for trouble in caller.poll_troubles()] == ["unreachable", "unreachable"]
        assert caller.statistics().datagrams_sent == 0
        assert caller.dtls_statistics().unsent == 2
        caller.close()


async def test_a_caller_that_only_receives_calls_too(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        made.nursery.start_soon(caller.receive)
        await trio.sleep(0.5)
        assert [peer.address for peer in listener.peers()] == [caller.local_address]


async def test_waiting_for_a_handshake_and_receiving_do_not_get_in_each_others_way(
    autojump_clock: MockClock,
) -> None:
    async with world() as made:
        listener, caller = made.listen(), made.call()
        heard: list[bytes] = []

        async def receive() -> None:
            heard.extend(flat(await caller.receive()))

        with trio.CancelScope() as impatient:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        assert not impatient.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await caller.wait_established()
            await trio.sleep(0.1)
            await listener.send([Run(caller.local_address, [b"hello"])])
        assert heard == [b"hello"]
        caller.close()


async def test_who_waits_for_a_handshake_is_woken_when_the_endpoint_closes(autojump_clock: MockClock) -> None:
    async with world() as made:
        caller = made.call()
        async with trio.open_nursery() as nursery:
            for wait in (caller.wait_established, caller.receive):
                nursery.start_soon(_expect_closed, wait)
            await trio.sleep(0.1)
            caller.close()
        with pytest.raises(trio.ClosedResourceError):
            await caller.wait_established()


async def test_a_listener_calls_nobody(autojump_clock: MockClock) -> None:
    async with world() as made:
        with pytest.raises(UnsupportedOperation, match="listening"):
            await made.listen().wait_established()


@pytest.mark.parametrize("suite", list(CipherSuite))
async def test_each_suite_of_the_specification_carries_data(
    autojump_clock: MockClock, suite: CipherSuite
) -> None:
    identity = make_identity("studio", is_rsa="ECDSA" not in suite.name)
    async with world() as made:
        made.listen(certificate=identity.pem, private_key=identity.key_pem, cipher_suites=tuple(CipherSuite))
        caller = made.call(ca=None, fingerprints=(identity.fingerprint,), cipher_suites=(suite,))
        assert (await caller.wait_established()).cipher_suite == suite.value
        longest = bytes([1]) * caller.payload_limit
        await caller.send([Run(made.address, [longest])])
        await trio.sleep(0.1)
        assert made.heard == [longest]
        assert max(len(packet.datagram) for packet in made.network.trace.packets) <= 1472
        caller.close()


async def test_a_suite_that_is_disabled_is_refused_and_both_sides_say_so(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener = made.listen(cipher_suites=(CipherSuite.ECDHE_ECDSA_AES256_GCM_SHA384,))
        caller = made.call(cipher_suites=(CipherSuite.ECDHE_ECDSA_AES128_GCM_SHA256,))
        with pytest.raises(ConnectionRefusedByPeer, match="cipher suites"):
            await caller.wait_established()
        (ended,) = listener.poll_events()
        assert isinstance(ended, DtlsEnded)
        assert isinstance(ended.error, ConnectionRefusedByPeer)
        caller.close()


async def test_encryption_is_not_off_unless_asked_for(autojump_clock: MockClock) -> None:
    identity = make_identity("studio", is_rsa=True)
    async with world() as made:
        made.listen(certificate=identity.pem, private_key=identity.key_pem)
        caller = made.call(verify="none", cipher_suites=(CipherSuite.RSA_NULL_SHA256,))
        with pytest.raises(ConnectionRefusedByPeer):
            await caller.wait_established()
        caller.close()


async def test_a_run_that_finds_no_room_is_handed_back_as_it_was(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    camera = network.add_host("camera", CALLER_HOST, uplink_rate=10e6)
    studio = network.add_host("studio", LISTENER_HOST)
    network.connect(camera, studio, LinkConditions(delay=0.01))
    listener = wrap_endpoint(bind(studio, 5000, LISTENER_HOST), LISTENER)
    inner = bind(camera, 0, CALLER_HOST, send_buffer=20_000)
    caller = wrap_endpoint(inner, CALLER, remote=listener.local_address)
    heard: list[bytes] = []

    async def listen() -> None:
        while True:
            heard.extend(flat(await listener.receive()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await caller.wait_established()
        sent = [b"%04d" % number + bytes(996) for number in range(60)]
        runs = [Run(listener.local_address, sent[:7]), Run(listener.local_address, sent[7:])]
        left = caller.send_nowait(runs)
        assert 0 < len(flat(left)) < 60
        assert flat(left) == sent[60 - len(flat(left)) :]
        assert caller.statistics().datagrams_sent == 60 - len(flat(left))
        await caller.send(left)
        await trio.sleep(1)
        assert heard == sent
        assert caller.statistics().bytes_sent == 60_000
        nursery.cancel_scope.cancel()
    caller.close()
    listener.close()


async def test_without_pyopenssl_the_extra_is_named(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "OpenSSL", None)
    inner = bind(SimulatedNetwork().add_host("camera"), 0)
    with pytest.raises(MissingExtra, match=r"terzetto\[dtls\]"):
        wrap_endpoint(inner, DtlsOptions(), remote=Address(LISTENER_HOST, 5000))
    inner.receive_nowait()
    inner.close()


async def _expect_closed(wait: object) -> None:
    assert callable(wait)
    with pytest.raises(trio.ClosedResourceError):
        await wait()


def test_an_endpoint_is_a_datagram_endpoint() -> None:
    assert issubclass(DtlsEndpoint, DatagramEndpoint)


async def test_a_second_call_is_repeated_while_another_task_receives(autojump_clock: MockClock) -> None:
    """The task that waits learns of a call that began after it; nothing else would tell it."""
    async with world() as there:
        caller = there.call(handshake_timeout=5.0)
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller.receive)
                with pytest.raises(PeerTimedOut):
                    await caller.wait_established()
                await trio.sleep(0.1)
                there.nursery.start_soon(_listen_later, there)
                with trio.fail_after(5):
                    await caller.wait_established()
                nursery.cancel_scope.cancel()
        caller.close()
        assert there.listener.peers()


async def _listen_later(there: World) -> None:
    await trio.sleep(0.7)
    there.listen()
