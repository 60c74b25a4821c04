"""RIST Main through the public API on networks that lose, delay, reorder and repeat: keys, logins, and strangers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import AuthenticationFailed, InvalidOption, InvalidUrl
from terzetto.mpegts.packet import null_packet
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist import events
from terzetto.rist.core.rtcp_translation import compound_from_feedback
from terzetto.rist.core.vocabulary import Description, EchoRequest, ReceptionReport
from terzetto.rist.runtime import Runtime
from terzetto.rist.wire.buffer_negotiation import BufferNegotiation
from terzetto.rist.wire.gre import REDUCED, VSF, GreHeader, encode_run
from terzetto.rist.wire.keepalive import LIBRIST_CAPABILITIES, Keepalive
from terzetto.rist.wire.virtual_ports import VirtualPorts
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_runs import stream
from tests.simulation.test_rist_recovery import random_conditions

# Seeds decide all of it, and come out the same on every Python.
pytestmark = pytest.mark.slow

T = TypeVar("T")
Knobs = dict[str, Any]

LOGIN: Knobs = {"username": "rist", "password": "mainprofile"}

SECURITIES: dict[str, Knobs] = {
    "clear": {},
    "aes-128": {"secret": "hush", "aes_type": 128},
    "aes-256, rotated": {"secret": "hush", "key_rotation": 40},
    "login": LOGIN,
    "login and aes-256": {"secret": "hush", **LOGIN},
    "key of the login": {"use_key_as_passphrase": True, **LOGIN},
}


def simulate(main: Callable[[], Awaitable[T]]) -> T:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("group", range(2))
def test_the_invariants_hold_on_random_networks(security: str, group: int) -> None:
    for seed in range(group * 5, group * 5 + 5):
        chance = random.Random(f"{security} {seed}")
        there, back = random_conditions(chance), random_conditions(chance)
        buffer = chance.choice([0.2, 0.5, 1.0])

        async def main(
            there: LinkConditions = there,
            back: LinkConditions = back,
            buffer: float = buffer,
            seed: int = seed,
        ) -> Any:
            return await stream(
                seed, there, back, packets=120, profile="main", buffer=buffer, **SECURITIES[security]
            )

        try:
            longest = there.delay + there.jitter + there.reorder_by
            check_invariants(simulate(main), buffer=buffer, longest_delay=longest)
        except BaseException as exc:
            exc.add_note(f"{security}, seed {seed}: {there}, back {back}, buffer {buffer}")
            raise


@attrs.define
class World:
    """A sender and a receiver of ours, and what they tell."""

    network: SimulatedNetwork
    alice: SimulatedHost
    bob: SimulatedHost
    mallory: SimulatedHost
    nursery: trio.Nursery
    sender_events: list[Any] = attrs.Factory(list)
    receiver_events: list[Any] = attrs.Factory(list)
    delivered: list[bytes] = attrs.Factory(list)

    async def receiver(self, url: str = "rist://@:5000", **knobs: Any) -> tz.RistReceiver:
        with use_network(self.bob):
            receiver = await tz.connect_rist_receiver(self.nursery, url, **{"buffer": 0.3, **knobs})
        self.nursery.start_soon(self._watch, receiver, self.receiver_events)
        self.nursery.start_soon(self._collect, receiver)
        return receiver

    async def sender(self, url: str = "rist://bob:5000", **knobs: Any) -> tz.RistSender:
        with use_network(self.alice):
            sender = await tz.connect_rist_sender(self.nursery, url, **{"buffer": 0.3, **knobs})
        self.nursery.start_soon(self._watch, sender, self.sender_events)
        return sender

    async def flood(self, make: Callable[[int], bytes], *, port: int = 5000, count: int = 2000) -> None:
        """A stranger's datagrams, one a millisecond, from changing ports."""
        endpoints = [
            await self.mallory.open_datagram_endpoint(EndpointOptions(local=Address("", 0))) for _ in range(8)
        ]
        for number in range(count):
            run = Run(Address(self.bob.addresses[0], port), [make(number)])
            await endpoints[number % 8].send([run])
            await trio.sleep(0.001)

    @staticmethod
    async def _watch(stream: tz.RistSender | tz.RistReceiver, told: list[Any]) -> None:
        async for event in stream.events():
            told.append(event)

    async def _collect(self, receiver: tz.RistReceiver) -> None:
        while True:
            self.delivered += [packet.payload for packet in await receiver.receive_packets()]


@asynccontextmanager
async def world(seed: int = 1, conditions: LinkConditions | None = None) -> AsyncIterator[World]:
    network = SimulatedNetwork(seed)
    alice, bob, mallory = (network.add_host(name) for name in ("alice", "bob", "mallory"))
    there = conditions or LinkConditions(delay=0.01)
    network.connect(alice, bob, there)
    network.connect(mallory, bob, LinkConditions(delay=0.01))
    async with trio.open_nursery() as nursery:
        yield World(network, alice, bob, mallory, nursery)
        nursery.cancel_scope.cancel()


def payload(number: int) -> bytes:
    return number.to_bytes(4, "big") * 50


async def send(sender: tz.RistSender, numbers: range) -> list[bytes]:
    sent = [payload(number) for number in numbers]
    for each in sent:
        await sender.send_packet(each)
        await trio.sleep(0.002)
    return sent


def kinds(told: list[Any]) -> list[type]:
    return [type(event) for event in told]


@pytest.mark.parametrize("receiver_calls", [False, True])
@pytest.mark.parametrize("security", SECURITIES)
async def test_a_stream_arrives_whole_whoever_calls(
    security: str, receiver_calls: bool, autojump_clock: MockClock
) -> None:
    async with world(conditions=LinkConditions(delay=0.01, loss=0.05)) as there:
        knobs = SECURITIES[security]
        if receiver_calls:
            sender = await there.sender("rist://@:5000", **knobs)
            receiver = await there.receiver("rist://alice:5000", **knobs)
        else:
            receiver = await there.receiver(**knobs)
            sender = await there.sender(**knobs)
        await sender.wait_connected()
        sent = await send(sender, range(300))
        await trio.sleep(1)
        assert there.delivered == sent
        statistics = sender.statistics().peer, receiver.statistics().peer
        assert all(each.encrypted == (security not in ("clear", "login")) for each in statistics)
        assert all(each.authenticated for each in statistics)
        assert all(each.username == ("rist" if "login" in security else "") for each in statistics)


async def test_a_secret_leaves_nothing_in_the_clear_on_the_wire(autojump_clock: MockClock) -> None:
    async with world() as there:
        await there.receiver(secret="hush")
        sender = await there.sender(secret="hush")
        await sender.wait_connected()
        await send(sender, range(100))
        await sender.aclose()
        await trio.sleep(1)
        there.network.settle()
        packets = there.network.trace.packets
        assert len(packets) > 120
        for record in packets:
            header = GreHeader.decode(record.datagram)
            assert header.nonce is not None
            assert b"terzetto" not in record.datagram
            assert payload(7)[:12] not in record.datagram


async def test_keys_rotate_without_a_loss(autojump_clock: MockClock) -> None:
    async with world() as there:
        receiver = await there.receiver(secret="hush")
        sender = await there.sender(secret="hush", key_rotation=50)
        await sender.wait_connected()
        sent = await send(sender, range(600))
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().unrecovered == 0
        assert kinds(there.receiver_events).count(events.KeyRotated) >= 10
        assert sender.statistics().peer.key_rotations >= 10


@pytest.mark.parametrize("login", [False, True])
async def test_the_passphrase_changes_in_the_middle_without_a_loss(
    login: bool, autojump_clock: MockClock
) -> None:
    knobs = LOGIN if login else {}
    async with world(conditions=LinkConditions(delay=0.02, loss=0.05)) as there:
        receiver = await there.receiver(secret="old", **knobs)
        sender = await there.sender(secret="old", **knobs)
        await sender.wait_connected()
        sent = await send(sender, range(200))
        if not login:
            # With a login the sender tells its receiver by itself.
            receiver.change_passphrase("new")
        sent += await send(sender, range(200, 300))
        sender.change_passphrase("new")
        sent += await send(sender, range(300, 600))
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().unrecovered == 0
        (changed,) = [event for event in there.sender_events if isinstance(event, events.PassphraseChanged)]
        assert changed.confirmed is login
        assert sender.is_connected


@pytest.mark.parametrize(
    ("ours", "theirs", "sender_hears", "receiver_hears"),
    [
        ({"secret": "a"}, {"secret": "b"}, events.PassphraseWrong, events.PassphraseWrong),
        ({"secret": "a"}, {}, events.ClearTextRefused, events.PassphraseMissing),
        ({}, {"secret": "b"}, events.PassphraseMissing, events.ClearTextRefused),
        (
            {"username": "rist", "password": "wrong"},
            LOGIN,
            events.AuthenticationRefused,
            events.AuthenticationRefused,
        ),
        ({}, LOGIN, events.LoginWanted, None),
    ],
)
async def test_who_does_not_match_gets_no_media_and_both_sides_are_told(
    ours: Knobs, theirs: Knobs, sender_hears: type, receiver_hears: type | None, autojump_clock: MockClock
) -> None:
    async with world() as there:
        receiver = await there.receiver(**theirs)
        sender = await there.sender(**ours, connect_timeout=4.0)
        with pytest.raises(AuthenticationFailed):
            await sender.send_packet(payload(1))
        assert there.delivered == []
        assert not sender.is_connected
        assert not receiver.is_connected
        assert sender_hears in kinds(there.sender_events)
        assert receiver_hears is None or receiver_hears in kinds(there.receiver_events)
        assert "rist" not in str(there.receiver_events) or "wrong" in str(there.receiver_events)


async def test_authorize_sees_address_and_name_and_may_refuse_with_a_reason(
    autojump_clock: MockClock,
) -> None:
    asked: list[tuple[Address, str]] = []

    async def authorize(peer: Address, username: str) -> bool:
        asked.append((peer, username))
        await trio.sleep(0.3)
        if len(asked) == 1:
            raise AuthenticationFailed("not before noon")
        return True

    async with world() as there:
        await there.receiver(authorize=authorize, **LOGIN)
        sender = await there.sender(**LOGIN)
        await sender.wait_connected()
        sent = await send(sender, range(20))
        await trio.sleep(1)
        assert there.delivered == sent
        assert [name for _, name in asked] == ["rist", "rist"]
        assert {peer.host for peer, _ in asked} == {there.alice.addresses[0]}
        refusals = [e for e in there.receiver_events if isinstance(e, events.AuthenticationRefused)]
        assert [refusal.reason for refusal in refusals] == ["not before noon"]


@pytest.mark.parametrize("accepted", [True, False])
async def test_authorize_is_asked_about_peers_without_a_login_too(
    accepted: bool, autojump_clock: MockClock
) -> None:
    async def authorize(peer: Address, username: str) -> bool:
        assert username == ""
        return accepted

    async with world() as there:
        receiver = await there.receiver(authorize=authorize, secret="hush")
        sender = await there.sender(secret="hush", connect_timeout=2.0, fast_start=True)
        sent = await send(sender, range(20))
        await trio.sleep(2)
        assert there.delivered == (sent[-len(there.delivered) :] if accepted else [])
        assert bool(there.delivered) is accepted
        assert receiver.is_connected is accepted


async def test_out_of_band_data_travels_both_ways_and_untouched(autojump_clock: MockClock) -> None:
    async with world() as there:
        receiver = await there.receiver(secret="hush")
        sender = await there.sender(secret="hush")
        await sender.wait_connected()
        packet = bytes(range(256)) * 4
        assert await sender.send_oob(packet)
        assert await receiver.receive_oob() == events.OutOfBandReceived(0x0800, packet)
        assert await receiver.send_oob(b"typed", 0x1234)
        assert await sender.receive_oob() == events.OutOfBandReceived(0x1234, b"typed")
        with pytest.raises(InvalidOption, match="ether_type is 0x88b6"):
            await sender.send_oob(b"", 0x88B6)


@pytest.mark.parametrize("profile", ["simple", "main"])
@pytest.mark.parametrize("nack_type", ["range", "bitmask"])
async def test_32_bit_sequences_are_mended_where_their_upper_half_changes(
    profile: str, nack_type: str, autojump_clock: MockClock
) -> None:
    secret: Knobs = {"secret": "hush", "null_packet_deletion": True} if profile == "main" else {}
    async with world(conditions=LinkConditions(delay=0.01, loss=0.1)) as there:
        receiver = await there.receiver(profile=profile, nack_type=nack_type, **secret)
        sender = await there.sender(profile=profile, sequence_extension=True, **secret)
        sender._outflow.history.next_sequence = 0x2_FF80
        await sender.wait_connected()
        sent = await send(sender, range(300))
        await trio.sleep(1)
        flow = receiver._inflow.flow
        assert flow is not None
        assert flow.sequence_bits == 32
        assert receiver.statistics().recovered > 15
        assert there.delivered == sent


async def test_no_buffer_adapts_to_more_than_the_sender_can_repeat(autojump_clock: MockClock) -> None:
    async with world(conditions=LinkConditions(loss=0.6, delay=0.05)) as there:
        receiver = await there.receiver(buffer_min=0.2, buffer_max=9.0)
        sender = await there.sender(buffer=0.3, rtt_max=0.2)
        await sender.wait_connected()
        for number in range(500):
            await sender.send_packet(payload(number))
            await trio.sleep(0.01)
        assert receiver.statistics().unrecovered > 25, "there was every reason to wait longer"
        assert receiver.statistics().buffer == pytest.approx(0.3 + 2 * 0.2)
        there.network.settle()
        told = [
            BufferNegotiation.decode(record.datagram[-6:]).receiver_current_ms
            for record in there.network.trace.packets
            if record.source.port == 5000 and record.datagram[8:12] == bytes.fromhex("00008002")
        ]
        assert told[-1] == 700
        assert len(told) < 10


async def test_null_packets_do_not_travel_and_are_there_again(autojump_clock: MockClock) -> None:
    full = b"\x47\x01\x00\x10" + bytes(184)
    sent = [full + 5 * null_packet() + full, 7 * null_packet(), 7 * full, b"no transport stream"]
    async with world() as there:
        await there.receiver(secret="hush")
        sender = await there.sender(secret="hush", null_packet_deletion=True)
        await sender.wait_connected()
        for each in sent:
            await sender.send_packet(each)
        await trio.sleep(1)
        assert there.delivered == sent
        there.network.settle()
        longest = sorted(len(record.datagram) for record in there.network.trace.packets)[-2:]
        assert longest[0] < 7 * 188


async def test_a_restarted_sender_is_taken_up_at_once(autojump_clock: MockClock) -> None:
    async with world() as there:
        await there.receiver(session_timeout=60.0, **LOGIN)
        first = await there.sender(session_timeout=60.0, **LOGIN)
        await first.wait_connected()
        await first.aclose()
        second = await there.sender(session_timeout=60.0, **LOGIN)
        with trio.fail_after(0.5):
            await second.wait_connected()


async def test_strangers_neither_join_nor_disturb_a_session(autojump_clock: MockClock) -> None:
    chance = random.Random(5)
    header = GreHeader(0x88B6, 1, 0).encode()
    login = GreHeader(0x888E, 1, 0).encode() + bytes.fromhex("0202000000")
    keepalive = GreHeader(0x88B5, 1, 0).encode() + bytes(6) + bytes.fromhex("25a0")
    noise = GreHeader(0xCCE0, 2, 0, b"abcd", True).encode()

    def make(number: int) -> bytes:
        nonce = GreHeader(0xCCE0, 2, number, number.to_bytes(4, "big"), True).encode()
        return chance.choice([header, login, keepalive, noise, nonce]) + chance.randbytes(40)

    async with world(conditions=LinkConditions(delay=0.01, loss=0.05)) as there:
        receiver = await there.receiver(secret="hush", **LOGIN)
        sender = await there.sender(secret="hush", **LOGIN)
        await sender.wait_connected()
        there.nursery.start_soon(there.flood, make)
        sent = await send(sender, range(600))
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().peer.strangers_ignored > 500
        assert kinds(there.receiver_events).count(events.PeerLost) == 0
        answered = [
            r for r in there.network.trace.packets if r.destination.host == there.mallory.addresses[0]
        ]
        assert answered == []


async def test_a_flood_before_the_first_caller_delays_it_but_does_not_keep_it_out(
    autojump_clock: MockClock,
) -> None:
    def make(number: int) -> bytes:
        return GreHeader(0xCCE0, 2, number, number.to_bytes(4, "big"), True).encode() + bytes(40)

    async with world() as there:
        await there.receiver(secret="hush")
        there.nursery.start_soon(there.flood, make)
        await trio.sleep(0.5)
        sender = await there.sender(secret="hush")
        with trio.fail_after(30):
            await sender.wait_connected()


@pytest.mark.parametrize("harm", ["replay", "tamper", "truncate"])
async def test_what_is_replayed_tampered_with_or_cut_off_never_reaches_the_user(
    harm: str, autojump_clock: MockClock
) -> None:
    async with world() as there:
        receiver = await there.receiver(secret="hush")
        sender = await there.sender(secret="hush")
        await sender.wait_connected()
        sent = await send(sender, range(100))
        there.network.settle()
        known = [r for r in there.network.trace.packets if r.destination.port == 5000]
        assert isinstance(sender._runtime, Runtime)
        endpoint = sender._runtime._endpoints[0]  # the peer's own address is what such a stranger would forge
        chance = random.Random(harm)
        for record in known:
            datagram = bytearray(record.datagram)
            if harm == "tamper":
                # The header stays, or it would be another stranger's; what follows the VSF header is noise.
                datagram[16:] = chance.randbytes(len(datagram) - 16)
                datagram[8:12] = chance.randbytes(4)
            elif harm == "truncate":
                del datagram[chance.randrange(len(datagram)) :]
            await endpoint.send([Run(record.destination, [bytes(datagram)])])
        sent += await send(sender, range(100, 200))
        await trio.sleep(1)
        assert there.delivered == sent
        assert sum(receiver.statistics().dropped.values()) > 0


async def test_one_listening_port_serves_many_callers_each_with_its_own_name(
    autojump_clock: MockClock,
) -> None:
    async with world() as there:
        got: dict[str, list[bytes]] = {}

        async def serve(receiver: tz.RistReceiver) -> None:
            name = receiver.statistics().peer.username
            async for chunk in receiver:
                got.setdefault(name, []).append(bytes(chunk))

        with use_network(there.bob):
            listener = await there.nursery.start(_listen, {"secret": "hush", **LOGIN, "buffer": 0.2})
        there.nursery.start_soon(trio.serve_listeners, serve, [listener])
        senders = [await there.sender(secret="hush", **LOGIN) for _ in range(3)]
        wrong = await there.sender(secret="hush", username="rist", password="no", connect_timeout=2.0)
        for sender in senders:
            await sender.wait_connected()
        for sender in senders:
            await send(sender, range(50))
        with pytest.raises(AuthenticationFailed):
            await wrong.wait_connected()
        await trio.sleep(1)
        assert set(got) == {"rist"}
        assert len(b"".join(got["rist"])) == 3 * 50 * len(payload(0))
        assert listener.flows >= 3


async def _listen(knobs: Knobs, *, task_status: trio.TaskStatus[tz.RistListener]) -> None:
    async with tz.open_rist_listener("rist://@:5000", **knobs) as listener:
        task_status.started(listener)
        await trio.sleep_forever()


@pytest.mark.parametrize(
    ("url", "knobs", "error", "told"),
    [
        ("rist://bob:5000?secret=x&aes-type=0", {}, InvalidUrl, "aes-type is 0"),
        ("rist://bob:5000?secret=x&aes-type=192", {}, InvalidUrl, "aes-type is 192"),
        ("rist://bob:5000?aes-type=128", {}, InvalidOption, "secret is not"),
        ("rist://bob:5000", {"secret": ""}, InvalidOption, "secret has 0 bytes, must have 1 to 127"),
        ("rist://bob:5000", {"payload_size": 1445}, InvalidOption, "must be at most 1444.*mtu=1500"),
        ("rist://bob:5000?profile=simple", {"secret": "x"}, InvalidOption, "Simple profile"),
        ("rist://bob:5000?username=u", {}, InvalidOption, "go together"),
        ("rist://bob:5000?users=/nowhere", {}, InvalidOption, "for a listener"),
        ("rist://@:5000?users=/nowhere", {}, InvalidOption, "cannot be read"),
        ("rist://bob:5000?virt-dst-port=1969", {}, InvalidOption, "must be even"),
    ],
)
async def test_what_cannot_be_is_refused_before_a_socket_is_opened(
    url: str, knobs: Knobs, error: type[Exception], told: str, autojump_clock: MockClock
) -> None:
    async with world() as there:
        with pytest.raises(error, match=told):
            await there.sender(url, **knobs)


async def test_a_payload_that_does_not_fit_names_the_limit(autojump_clock: MockClock) -> None:
    async with world() as there:
        await there.receiver()
        sender = await there.sender()
        await sender.wait_connected()
        with pytest.raises(InvalidOption, match=r"has 1500 bytes, must have at most 1444.*mtu=1500"):
            await sender.send_packet(bytes(1500))
        await sender.send_packet(bytes(1444))
        await trio.sleep(1)
        assert there.delivered == [bytes(1444)]
        there.network.settle()
        assert max(len(record.datagram) for record in there.network.trace.packets) == 1472


@pytest.mark.parametrize(
    "guard",
    [{}, {"secret": "hush"}, LOGIN, {"profile": "simple"}, {"profile": "auto"}, {"profile": "advanced"}],
    ids=["none", "secret", "login", "simple", "auto", "advanced"],
)
@pytest.mark.parametrize("sends", [False, True])
async def test_a_listener_says_no_more_than_a_stranger_that_never_shows_that_it_hears(
    guard: Knobs, sends: bool, autojump_clock: MockClock
) -> None:
    report = compound_from_feedback(
        [ReceptionReport(0), Description(0, "x"), EchoRequest(7, 8)], nack_type="range"
    )
    keepalive = encode_run(
        [bytes.fromhex("00008000") + Keepalive(bytes(6), LIBRIST_CAPABILITIES).encode()],
        protocol_type=VSF,
        version=2,
        first_sequence=0,
    )[0]
    rtcp = encode_run(
        [VirtualPorts(1969, 0x8000).encode() + report], protocol_type=REDUCED, version=1, first_sequence=0
    )[0]
    simple = guard.get("profile") == "simple"
    for question, port in [(report, 5001)] if simple else [(keepalive, 5000), (rtcp, 5000)]:
        async with world() as there:
            stream = await (there.sender if sends else there.receiver)("rist://@:5000", **guard)
            target = there.alice if sends else there.bob
            if sends:
                there.network.connect(there.mallory, target, LinkConditions(delay=0.01))
            endpoint = await there.mallory.open_datagram_endpoint(EndpointOptions(local=Address("", 0)))
            await endpoint.send([Run(Address(target.addresses[0], port), [question])])
            await trio.sleep(0.1)
            if isinstance(stream, tz.RistSender):
                with pytest.raises(trio.WouldBlock):
                    stream.send_packets_nowait([bytes(1316)] * 100)
            await trio.sleep(2.5)
            there.network.settle()
            answers = [
                record.datagram
                for record in there.network.trace.packets
                if record.source.port in (5000, 5001)
            ]
            assert sum(len(answer) + 28 for answer in answers) <= len(question) + 28, answers
