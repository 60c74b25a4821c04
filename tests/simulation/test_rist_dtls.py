"""RIST tunnels within DTLS on simulated networks: both roles, losses, many callers, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import AuthenticationFailed, InvalidOption, PeerError
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.dtls import RistDtls
from terzetto.rist.events import NetworkTrouble, PeerLost, ReconnectGivenUp, ReconnectScheduled
from terzetto.rist.options import RistOptions
from terzetto.rist.secured import dtls_overhead
from tests.net.dtls.identities import AUTHORITY, CAMERA, STUDIO
from tests.simulation.test_rist_main import send, world

LISTENS = RistDtls(certificate=STUDIO.pem, private_key=STUDIO.key_pem)
CALLS = RistDtls(ca=AUTHORITY.pem, server_name="studio")
BOTH_LISTEN = RistDtls(certificate=STUDIO.pem, private_key=STUDIO.key_pem, ca=AUTHORITY.pem, verify="mutual")
BOTH_CALL = RistDtls(
    certificate=CAMERA.pem,
    private_key=CAMERA.key_pem,
    ca=AUTHORITY.pem,
    verify="mutual",
    server_name="studio",
)


@pytest.mark.parametrize("receiver_calls", [False, True])
@pytest.mark.parametrize("profile", ["main", "advanced"])
async def test_a_stream_arrives_whole_whoever_calls(
    profile: str, receiver_calls: bool, autojump_clock: MockClock
) -> None:
    async with world(conditions=LinkConditions(delay=0.01, loss=0.05)) as there:
        knobs: dict[str, Any] = {"profile": profile}
        if receiver_calls:
            sender = await there.sender("rist://@:5000", dtls=LISTENS, **knobs)
            await there.receiver("rist://alice:5000", dtls=CALLS, **knobs)
        else:
            await there.receiver(dtls=LISTENS, **knobs)
            sender = await there.sender(dtls=CALLS, **knobs)
        await sender.wait_connected()
        sent = await send(sender, range(300))
        await trio.sleep(1)
        assert there.delivered == sent
        there.network.settle()
        # Every datagram is a record of DTLS: a handshake's, an alert, or media's.
        kinds = {(record.datagram[0], record.datagram[1]) for record in there.network.trace.packets}
        assert kinds <= {(kind, 0xFE) for kind in range(20, 24)}


@pytest.mark.parametrize("profile", ["main", "advanced"])
async def test_parities_travel_inside(profile: str, autojump_clock: MockClock) -> None:
    async with world(conditions=LinkConditions(delay=0.01, loss=0.01)) as there:
        knobs: dict[str, Any] = {"profile": profile, "fec": "cols:5,rows:5"}
        receiver = await there.receiver(dtls=LISTENS, **knobs)
        sender = await there.sender(dtls=CALLS, **knobs)
        await sender.wait_connected()
        sent = await send(sender, range(300))
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().fec_recovered > 0


async def test_secrets_and_logins_work_inside(autojump_clock: MockClock) -> None:
    login = {"username": "rist", "password": "mainprofile", "secret": "hush"}
    async with world() as there:
        receiver = await there.receiver(dtls=BOTH_LISTEN, **login)
        sender = await there.sender(dtls=BOTH_CALL, **login)
        await sender.wait_connected()
        sent = await send(sender, range(50))
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().peer.username == "rist"


async def test_one_listening_port_serves_many_callers(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(3, default=LinkConditions(delay=0.01))
    studio, camera = network.add_host("studio"), network.add_host("camera")
    heard: list[bytes] = []

    async def handle(receiver: tz.RistReceiver) -> None:
        heard.append(b"".join([chunk async for chunk in receiver]))

    async def feed(name: bytes) -> None:
        with use_network(camera):
            async with tz.open_rist_sender("rist://studio:5000", dtls=CALLS, buffer=0.2) as sender:
                for _ in range(50):
                    await sender.send_packet(name)
                    await trio.sleep(0.002)

    with use_network(studio):
        async with (
            tz.open_rist_listener("rist://@:5000", dtls=LISTENS, buffer=0.2) as listener,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(trio.serve_listeners, handle, [listener])
            async with trio.open_nursery() as senders:
                for name in (b"one;", b"two;", b"three;"):
                    senders.start_soon(feed, name)
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
    assert sorted(heard) == [50 * b"one;", 50 * b"three;", 50 * b"two;"]


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        (RistDtls(ca=CAMERA.pem, server_name="studio"), "certificate"),
        (RistDtls(ca=AUTHORITY.pem, server_name="somewhere.example"), "somewhere.example"),
        (RistDtls(fingerprints=(CAMERA.fingerprint,)), "fingerprint"),
    ],
)
async def test_a_caller_that_does_not_believe_the_listener_says_why(
    calls: RistDtls, why: str, autojump_clock: MockClock
) -> None:
    async with world() as there:
        await there.receiver(dtls=LISTENS)
        sender = await there.sender(dtls=calls, connect_timeout=3)
        with pytest.raises(AuthenticationFailed, match=why):
            await sender.wait_connected()
        assert any(
            isinstance(event, NetworkTrouble) and event.kind == "dtls" for event in there.sender_events
        )
        assert there.delivered == []


async def test_who_speaks_without_dtls_is_not_heard(autojump_clock: MockClock) -> None:
    async with world() as there:
        receiver = await there.receiver(dtls=LISTENS)
        sender = await there.sender(connect_timeout=3, fast_start=True)
        await sender.send_packet(b"clear")
        await trio.sleep(3)
        assert not sender.is_connected
        assert not receiver.is_connected
        assert there.delivered == []


async def test_a_caller_calls_until_somebody_listens_and_again_when_that_one_restarts(
    autojump_clock: MockClock,
) -> None:
    async with world() as there:
        sender = await there.sender(dtls=CALLS)
        await trio.sleep(10)
        for _ in range(2):
            with use_network(there.bob):
                receiver = await tz.connect_rist_receiver(
                    there.nursery, "rist://@:5000", dtls=LISTENS, buffer=0.3
                )
            with trio.fail_after(6):
                await receiver.wait_connected()
                while not sender.is_connected:  # noqa: ASYNC110
                    await trio.sleep(0.1)
            sent = await send(sender, range(20))
            await trio.sleep(1)
            with trio.fail_after(1):
                assert [packet.payload for packet in await receiver.receive_packets()] == sent
            await receiver.aclose()
            await trio.sleep(1)
            assert PeerLost in map(type, there.sender_events[-2:])
            assert isinstance(there.sender_events[-1], ReconnectScheduled)


async def test_each_call_is_told_until_the_policy_gives_up(autojump_clock: MockClock) -> None:
    async with world() as there:
        brief = tz.Reconnection(initial=0.5, jitter=0, most_attempts=3)
        sender = await there.sender(dtls=CALLS, reconnect=brief)
        with trio.fail_after(20), pytest.raises(PeerError):
            await sender.send_packet(b"is anybody there?")
        with pytest.raises(PeerError):
            await sender.wait_connected()
        await trio.lowlevel.checkpoint()
        tries = [event for event in there.sender_events if isinstance(event, ReconnectScheduled)]
        assert [(event.attempt, event.delay) for event in tries] == [(1, 0.5), (2, 1.0)]
        assert isinstance(there.sender_events[-1], ReconnectGivenUp)


async def test_a_caller_that_reads_learns_that_nobody_is_called_any_more(autojump_clock: MockClock) -> None:
    async with world() as there:
        with use_network(there.bob):
            receiver = await tz.connect_rist_receiver(
                there.nursery, "rist://alice:5000", dtls=CALLS, reconnect=None
            )
        with trio.fail_after(20), pytest.raises(PeerError):
            await receiver.receive_packets()
        await receiver.aclose()


def test_what_dtls_adds_is_left_room_for() -> None:
    assert dtls_overhead(RistDtls()) == 37
    assert dtls_overhead(None) == 0
    RistOptions(dtls=RistDtls(), payload_size=1316)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"profile": "simple", "dtls": True}, "dtls"),
        ({"dtls": True, "one_way": True}, "dtls"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        RistOptions(**wrong)


def test_unknown_suites_are_named() -> None:
    with pytest.raises(InvalidOption, match="RC4"):
        RistDtls(cipher_suites="ECDHE_RSA_AES128_GCM_SHA256,RC4")


async def test_a_url_says_all_of_it(autojump_clock: MockClock, tmp_path: Any) -> None:
    (tmp_path / "studio.pem").write_bytes(STUDIO.pem + STUDIO.key_pem)
    async with world() as there:
        await there.receiver(f"rist://@:5000?dtls=1&dtls-certificate={tmp_path}/studio.pem")
        sender = await there.sender(
            f"rist://bob:5000?dtls-fingerprints={STUDIO.fingerprint}"
            "&dtls-cipher-suites=ECDHE_ECDSA_AES256_GCM_SHA384"
        )
        await sender.wait_connected()
        sent = await send(sender, range(20))
        await trio.sleep(1)
        assert there.delivered == sent
