"""RIST Advanced through the public API on networks that lose, delay, reorder and repeat."""

from __future__ import annotations

import itertools
import json
import random
from contextlib import suppress
from typing import Any

import pytest
import trio

import terzetto as tz
from terzetto.errors import AuthenticationFailed, InvalidOption, UnsupportedOperation
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.core.advanced import AdvancedTranslator
from terzetto.rist.core.advanced_settings import ADVANCED_CAPABILITIES
from terzetto.rist.core.history import History
from terzetto.rist.core.tunnel import Tunnel
from terzetto.rist.events import (
    AdvancedGivenUp,
    AdvancedStarted,
    FlowAttributesEnded,
    FlowAttributesReceived,
    OutOfBandReceived,
    RistPacket,
)
from terzetto.rist.wire.advanced_header import AdvancedHeader, looks_like_advanced
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_runs import stream
from tests.simulation.test_rist_main import LOGIN, Knobs, simulate
from tests.simulation.test_rist_recovery import random_conditions

# Seeds decide all of it, and come out the same on every Python.
pytestmark = pytest.mark.slow

VARIANTS: dict[str, Knobs] = {
    "begun in Main": {},
    "at once": {"advanced_start": "at-once"},
    "without the tunnel": {"gre_substrate": False, "nack_type": "bitmask"},
    "as libRIST": {"quirks": "librist"},
    "counter mode": {"secret": "hush", "key_rotation": 40},
    "counter mode as libRIST": {"secret": "hush", "quirks": "librist", "advanced_start": "at-once"},
    "counter mode and hash": {"secret": "hush", "cipher": "ctr-hmac", "aes_type": 128},
    "hash alone": {"secret": "hush", "cipher": "hmac"},
    "GCM": {"secret": "hush", "cipher": "gcm", "gre_substrate": False},
    "ChaCha20, rotated": {"secret": "hush", "cipher": "chacha20", "key_rotation": 30},
    "compressed": {"compression": True},
    "login": {"gre_substrate": False, "secret": "hush", "cipher": "gcm", **LOGIN},
    "key of the login": {"use_key_as_passphrase": True, **LOGIN},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_invariants_hold_on_random_networks(variant: str) -> None:
    for seed in range(3):
        chance = random.Random(f"{variant} {seed}")
        there, back = random_conditions(chance), random_conditions(chance)
        buffer = chance.choice([0.2, 0.5, 1.0])

        async def main(
            there: LinkConditions = there,
            back: LinkConditions = back,
            buffer: float = buffer,
            seed: int = seed,
        ) -> Any:
            return await stream(
                seed, there, back, packets=120, profile="advanced", buffer=buffer, **VARIANTS[variant]
            )

        try:
            longest = there.delay + there.jitter + there.reorder_by
            if "quirks" in VARIANTS[variant]:
                # By arrival, the time of a last packet that was lost is that of the copy sent into the pause.
                longest += buffer * 2 / 3
            check_invariants(simulate(main), buffer=buffer, longest_delay=longest)
        except BaseException as exc:
            exc.add_note(f"{variant}, seed {seed}: {there}, back {back}, buffer {buffer}")
            raise


@pytest.mark.parametrize(
    "variant",
    ["begun in Main", "counter mode", "compressed", "counter mode and hash", "GCM", "ChaCha20, rotated"],
)
def test_the_invariants_hold_for_what_travels_in_fragments(variant: str) -> None:
    """Each unit is three packets; what all of them brought in time comes whole, in order, once, and intact."""
    unrecovered = 0
    for seed in range(3):
        chance = random.Random(f"fragments {variant} {seed}")
        there, back = random_conditions(chance), random_conditions(chance)

        async def main(there: LinkConditions = there, back: LinkConditions = back, seed: int = seed) -> Any:
            knobs: Knobs = {"profile": "advanced", "buffer": 0.5, "fragment_size": 100, **VARIANTS[variant]}
            return await stream(seed, there, back, packets=80, interval=0.004, noise=200, **knobs)

        outcome = simulate(main)
        received, path = outcome.receiver, outcome.receiver.peer.advanced
        numbers = [int.from_bytes(payload[:4], "big") for payload in outcome.payloads]
        assert numbers == sorted(set(numbers))
        assert all(
            payload == outcome.sent[number] for payload, number in zip(outcome.payloads, numbers, strict=True)
        )
        longest = there.delay + there.jitter + there.reorder_by
        for number, at in zip(numbers, outcome.delivered_at, strict=True):
            assert at - outcome.sent_at[number] <= (0.5 + longest) * 1.1 + 0.012
        assert received.lost == received.recovered + received.unrecovered
        assert path.units == len(numbers)
        # A packet that never came costs its own unit, and no other.
        assert len(outcome.sent) - len(numbers) <= received.unrecovered
        assert sum(packet.lost_before for packet in outcome.delivered) <= received.unrecovered
        unrecovered += received.unrecovered
    assert unrecovered < 30


# -- beside each other: the Main profile, and the way from there -------------------------------------------------


async def _cross(
    network: SimulatedNetwork,
    sender_knobs: Knobs,
    receiver_knobs: Knobs,
    *,
    payloads: list[bytes],
    interval: float = 0.002,
) -> tuple[list[RistPacket], list[Any], list[Any], tz.RistSender, tz.RistReceiver]:
    """A sender and a receiver that are told different things."""
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.02, jitter=0.002, loss=0.05))
    got: list[RistPacket] = []
    told: tuple[list[Any], list[Any]] = ([], [])
    async with trio.open_nursery() as nursery:
        with use_network(bob):
            receiver = await tz.connect_rist_receiver(
                nursery, "rist://@:5000", **{"buffer": 0.3, **receiver_knobs}
            )
        with use_network(alice):
            sender = await tz.connect_rist_sender(
                nursery, "rist://bob:5000", **{"buffer": 0.3, **sender_knobs}
            )

        async def collect() -> None:
            while True:
                got.extend(await receiver.receive_packets())

        async def watch(stream: tz.RistSender | tz.RistReceiver, events: list[Any]) -> None:
            async for event in stream.events():
                events.append(event)

        nursery.start_soon(collect)
        nursery.start_soon(watch, sender, told[0])
        nursery.start_soon(watch, receiver, told[1])
        await sender.wait_connected()
        for payload in payloads:
            await sender.send_packet(payload)
            await trio.sleep(interval)
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    return got, told[0], told[1], sender, receiver


PAYLOADS = [number.to_bytes(4, "big") * 100 for number in range(400)]


def media_forms(network: SimulatedNetwork) -> list[bool]:
    """Of each datagram to the receiver that is long enough for media, whether it has the Advanced form."""
    return [
        looks_like_advanced(record.datagram)
        for record in network.trace.packets
        if record.destination.port == 5000 and len(record.datagram) > 350
    ]


MAIN: Knobs = {"profile": "main"}
ADVANCED: Knobs = {"profile": "advanced"}


@pytest.mark.parametrize("secret", [None, "hush"])
@pytest.mark.parametrize(
    ("ends", "forms"),
    [
        ((MAIN, ADVANCED), {False}),
        ((ADVANCED, MAIN), {False}),
        ((ADVANCED, ADVANCED), {True}),
    ],
    ids=["Main to Advanced", "Advanced to Main", "both Advanced"],
)
def test_each_end_speaks_what_the_other_understands(
    ends: tuple[Knobs, Knobs], forms: set[bool], secret: str | None
) -> None:
    network = SimulatedNetwork(3)

    async def main() -> list[RistPacket]:
        sender_knobs, receiver_knobs = ({**knobs, "secret": secret} for knobs in ends)
        return (await _cross(network, sender_knobs, receiver_knobs, payloads=PAYLOADS))[0]

    got = simulate(main)
    assert [packet.payload for packet in got] == PAYLOADS
    assert [packet.sequence for packet in got] == list(range(len(PAYLOADS)))
    network.settle()
    assert set(media_forms(network)) == forms


@pytest.mark.parametrize("secret", [None, "hush"])
def test_a_stream_goes_over_from_main_without_losing_a_packet(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    """The receiver says only after a while that it can: as when it is restarted with another version."""
    network = SimulatedNetwork(4)
    # More than 16 bits can name, so that the halves of both countings must be put together rightly.
    monkeypatch.setattr(History, "__init__", _begin_at(0x1_FF00))

    async def main() -> tuple[list[RistPacket], list[Any]]:
        _announce_late(monkeypatch, trio.current_time() + 1)
        knobs = {**ADVANCED, "secret": secret}
        got, sender_told, *_ = await _cross(network, knobs, knobs, payloads=PAYLOADS * 3)
        return got, sender_told

    got, told = simulate(main)
    assert [packet.payload for packet in got] == PAYLOADS * 3
    assert sum(isinstance(event, AdvancedStarted) for event in told) == 1
    times = [packet.source_time for packet in got]
    steps = [b - a for a, b in itertools.pairwise(times)]
    # What the change of clocks costs is the jitter of one packet's path.
    assert all(-0.005 < step < 0.01 for step in steps), (min(steps), max(steps))
    network.settle()
    forms = media_forms(network)
    assert forms[0] is False
    assert forms[-1] is True


@pytest.mark.parametrize("secret", [None, "hush"])
def test_a_sender_whom_nobody_answers_in_the_advanced_form_goes_back_to_main_without_losing_a_packet(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    """The receiver says after a while that it can, and yet nothing Advanced passes, for three seconds."""
    network = SimulatedNetwork(9)
    knobs = {**ADVANCED, "secret": secret, "buffer": 1.0}

    async def main() -> tuple[list[RistPacket], list[Any], list[Any]]:
        begin = trio.current_time()
        _announce_late(monkeypatch, begin + 1)
        decode = AdvancedTranslator._decode_advanced

        def deaf(self: AdvancedTranslator, *given: Any) -> None:
            if trio.current_time() - begin > 3:
                decode(self, *given)

        monkeypatch.setattr(AdvancedTranslator, "_decode_advanced", deaf)
        return (await _cross(network, knobs, knobs, payloads=PAYLOADS[:200] * 9, interval=0.003))[:3]

    got, sender_told, receiver_told = simulate(main)
    assert [packet.payload for packet in got] == PAYLOADS[:200] * 9
    for told in (sender_told, receiver_told):
        steps = [type(each) for each in told if isinstance(each, (AdvancedStarted, AdvancedGivenUp))]
        assert steps == [AdvancedStarted, AdvancedGivenUp, AdvancedStarted]
    network.settle()
    changes = [form for form, _ in itertools.groupby(media_forms(network))]
    assert changes[:3] == [False, True, False]
    assert media_forms(network)[-100:].count(True) > 90


def _announce_late(monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    """Say only from then on that we can do the Advanced profile."""
    keepalive = Tunnel.keepalive

    def late(self: Tunnel, *, disconnect: bool) -> Any:
        said = keepalive(self, disconnect=disconnect)
        if trio.current_time() < moment:
            return said._replace(capabilities=said.capabilities & ~ADVANCED_CAPABILITIES, has_word=False)
        return said

    monkeypatch.setattr(Tunnel, "keepalive", late)


def _begin_at(sequence: int) -> Any:
    original = History.__init__

    def begin(self: History, **knobs: Any) -> None:
        original(self, **knobs)
        self.next_sequence = self._oldest = sequence

    return begin


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"compression": True},
        {"secret": "hush", "cipher": "gcm"},
        {"secret": "hush", "cipher": "chacha20", "compression": True},
        {"secret": "hush", "gre_substrate": False},
    ],
    ids=str,
)
def test_long_payloads_travel_in_fragments_that_are_repeated_each_on_its_own(knobs: Knobs) -> None:
    chance = random.Random(5)
    payloads = [
        (number.to_bytes(4, "big") * 1200 if number % 2 else chance.randbytes(9000)) for number in range(60)
    ]
    network = SimulatedNetwork(5)

    async def main() -> Any:
        everything = {**ADVANCED, **knobs}
        got, _, _, sender, receiver = await _cross(
            network, everything, everything, payloads=payloads, interval=0.01
        )
        return got, sender.statistics(), receiver.statistics()

    got, sent, received = simulate(main)
    assert [packet.payload for packet in got] == payloads
    assert received.recovered > 5
    assert sent.sent > 3 * len(payloads)
    told, heard = sent.peer.advanced, received.peer.advanced
    assert told.active
    assert told.peer_can == ("advanced", "compression", "fragmentation")
    assert told.cipher == ("" if "secret" not in knobs else knobs.get("cipher", "ctr"))
    assert heard.fragments_wasted == 0
    if knobs.get("compression"):
        # Every second payload repeats four bytes, and so is no longer cut.
        assert told.compressed == len(payloads) // 2 <= heard.decompressed
        assert told.compression_saved > 4000 * told.compressed
        assert told.fragmented == heard.units == len(payloads) // 2
    else:
        assert told.compressed == told.compression_saved == heard.decompressed == 0
        assert told.fragmented == heard.units == len(payloads)
    assert told.fragments_sent == sent.sent - len(payloads) + told.fragmented
    assert min(told.control_sent, told.control_received, heard.control_sent, heard.control_received) > 0
    for statistics in (sent, received):
        assert json.loads(json.dumps(statistics.as_dict()))["peer"]["advanced"]["fallbacks"] == 0
    network.settle()
    assert max(len(record.datagram) for record in network.trace.packets) <= 1500 - 28


def test_holes_that_nothing_mends_cost_whole_units_and_no_more() -> None:
    payloads = [number.to_bytes(4, "big") * 1000 for number in range(100)]
    network = SimulatedNetwork(6)

    async def main() -> Any:
        knobs = {**ADVANCED, "one_way": True}
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02, loss=0.05))
        got: list[RistPacket] = []
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000", buffer=0.2, **knobs)
            with use_network(alice):
                sender = await tz.connect_rist_sender(nursery, "rist://bob:5000", buffer=0.2, **knobs)
            for payload in payloads:
                await sender.send_packet(payload)
                await trio.sleep(0.01)
            await trio.sleep(1)
            with trio.move_on_after(1):
                while True:
                    got += await receiver.receive_packets()
            nursery.cancel_scope.cancel()
        return got, receiver.statistics()

    got, received = simulate(main)
    delivered = [packet.payload for packet in got]
    assert 50 < len(delivered) < 100
    assert delivered == [payload for payload in payloads if payload in set(delivered)]
    assert received.unrecovered > 0
    assert received.dropped["fragment of a unit that is not whole"] > 0
    assert received.peer.advanced.fragments_wasted > 0


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"secret": "hush", "cipher": "gcm", "compression": True, "advanced_flow_id": 9},
        {"fec": "cols:5,rows:5"},
    ],
    ids=str,
)
def test_an_expedited_packet_overtakes_and_logical_flows_are_told_apart(knobs: Knobs) -> None:
    """Two flows share one recovery; every tenth packet is urgent, and so comes at once and once, lost or not."""
    network = SimulatedNetwork(10)

    async def main() -> Any:
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02, loss=0.1, duplicate=0.05))
        got: list[tuple[float, RistPacket]] = []
        sent_at: list[float] = []
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(
                    nursery, "rist://@:5000", buffer=0.5, **ADVANCED, **knobs
                )
            with use_network(alice):
                sender = await tz.connect_rist_sender(
                    nursery, "rist://bob:5000", buffer=0.5, **ADVANCED, **knobs
                )

            async def collect() -> None:
                while True:
                    got.extend([(trio.current_time(), each) for each in await receiver.receive_packets()])

            nursery.start_soon(collect)
            await sender.wait_connected()
            await trio.sleep(0.3)
            for number in range(200):
                sent_at.append(trio.current_time())
                await sender.send_packet(
                    number.to_bytes(4, "big") * 50,
                    expedite=number % 10 == 5,
                    advanced_flow_id=None if number % 3 else 0x0001_0000 + number,
                )
                await trio.sleep(0.005)
            await sender.send_packet(bytes(6000), advanced_flow_id=7)
            await trio.sleep(1)
            with pytest.raises(InvalidOption, match="advanced_flow_id"):
                await sender.send_packet(b"", advanced_flow_id=-1)
            nursery.cancel_scope.cancel()
        return got, sent_at, receiver.statistics()

    got, sent_at, received = simulate(main)
    *rest, (_, last) = got
    assert (last.payload, last.advanced_flow_id) == (bytes(6000), 7)
    urgent = [(at, each) for at, each in rest if each.is_expedited]
    ordinary = [(at, each) for at, each in rest if not each.is_expedited]
    numbers = [int.from_bytes(each.payload[:4], "big") for _, each in ordinary]
    assert numbers == [number for number in range(200) if number % 10 != 5]
    assert sorted(int.from_bytes(each.payload[:4], "big") for _, each in urgent) == list(range(5, 200, 10))
    own = knobs.get("advanced_flow_id", 0)
    for at, each in rest:
        number = int.from_bytes(each.payload[:4], "big")
        assert each.payload == number.to_bytes(4, "big") * 50
        assert each.advanced_flow_id == (own if number % 3 else 0x0001_0000 + number)
        waited = at - sent_at[number]
        # At once is the way there, or after a request and the repeat; the others wait out the buffer.
        assert waited < 0.3 if each.is_expedited else waited > 0.45, (number, waited)
    at_once = [at - sent_at[int.from_bytes(each.payload[:4], "big")] for at, each in urgent]
    assert sorted(at_once)[len(at_once) // 2] < 0.05
    assert received.recovered > 5
    assert received.unrecovered == 0


def test_expedited_packets_need_the_advanced_profile() -> None:
    network = SimulatedNetwork(10)

    async def main() -> None:
        with use_network(network.add_host("alice")):
            async with tz.open_rist_receiver("rist://@:5000", profile="main"):
                async with trio.open_nursery() as nursery:
                    sender = await tz.connect_rist_sender(nursery, "rist://127.0.0.1:5000", profile="main")
                    with pytest.raises(UnsupportedOperation, match="only the Advanced profile"):
                        await sender.send_packet(b"now", expedite=True)
                    nursery.cancel_scope.cancel()

    simulate(main)


# -- what travels beside the media -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knobs", [{}, {"secret": "hush", "cipher": "gcm"}, {"gre_substrate": False}], ids=str
)
def test_flow_attributes_are_told_once_and_taken_back(knobs: Knobs) -> None:
    network = SimulatedNetwork(7)
    first = '{"sessions": [{"sid": "a", "version": "1:0"}]}'
    second = '{"sessions": [' + ",".join(f'{{"sid": "{n}", "version": "1:0"}}' for n in range(200)) + "]}"

    async def main() -> list[Any]:
        told: list[Any] = []
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02, loss=0.02))
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000", **ADVANCED, **knobs)
            with use_network(alice):
                sender = await tz.connect_rist_sender(nursery, "rist://bob:5000", **ADVANCED, **knobs)

            async def watch() -> None:
                async for event in receiver.events():
                    if isinstance(event, (FlowAttributesReceived, FlowAttributesEnded)):
                        told.append(event)

            nursery.start_soon(watch)
            await sender.wait_connected()
            for text in (first, second, ""):
                sender.send_flow_attribute(text)
                await trio.sleep(5)
            with pytest.raises(InvalidOption, match="must be a JSON object"):
                sender.send_flow_attribute("[]")
            nursery.cancel_scope.cancel()
        return told

    assert simulate(main) == [
        FlowAttributesReceived(first),
        FlowAttributesReceived(second),
        FlowAttributesEnded(first),
        FlowAttributesEnded(second),
    ]


def test_flow_attributes_need_the_advanced_profile() -> None:
    network = SimulatedNetwork(7)

    async def main() -> None:
        with use_network(network.add_host("alice")):
            async with tz.open_rist_receiver("rist://@:5000", profile="main"):
                async with trio.open_nursery() as nursery:
                    sender = await tz.connect_rist_sender(nursery, "rist://127.0.0.1:5000", profile="main")
                    with pytest.raises(UnsupportedOperation, match="only the Advanced profile"):
                        sender.send_flow_attribute("{}")
                    nursery.cancel_scope.cancel()

    simulate(main)


@pytest.mark.parametrize("knobs", [{}, {"gre_substrate": False, "secret": "hush", "cipher": "gcm"}], ids=str)
def test_out_of_band_data_passes_both_ways(knobs: Knobs) -> None:
    network = SimulatedNetwork(8)

    async def main() -> list[Any]:
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02))
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000", **ADVANCED, **knobs)
            with use_network(alice):
                sender = await tz.connect_rist_sender(nursery, "rist://bob:5000", **ADVANCED, **knobs)
            await sender.wait_connected()
            await trio.sleep(0.5)
            assert await sender.send_oob(b"\x45there")
            assert await sender.send_oob(b"there", 0x1234)
            assert await receiver.send_oob(b"\x45back")
            with trio.fail_after(2):
                told = [
                    await receiver.receive_oob(),
                    await receiver.receive_oob(),
                    await sender.receive_oob(),
                ]
            nursery.cancel_scope.cancel()
        return told

    assert simulate(main) == [
        OutOfBandReceived(0x0800, b"\x45there"),
        OutOfBandReceived(0x1234, b"there"),
        OutOfBandReceived(0x0800, b"\x45back"),
    ]


@pytest.mark.parametrize("knobs", [{}, {"gre_substrate": False, "secret": "hush"}, LOGIN], ids=str)
def test_a_receiver_may_call_a_sender_that_listens(knobs: Knobs) -> None:
    network = SimulatedNetwork(9)

    async def main() -> list[bytes]:
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02, loss=0.05))
        got: list[bytes] = []
        async with trio.open_nursery() as nursery:
            with use_network(alice):
                sender = await tz.connect_rist_sender(
                    nursery, "rist://@:5000", buffer=0.3, **ADVANCED, **knobs
                )
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(
                    nursery, "rist://alice:5000", buffer=0.3, **ADVANCED, **knobs
                )

            async def collect() -> None:
                while True:
                    got.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(collect)
            await sender.wait_connected()
            for payload in PAYLOADS[:200]:
                await sender.send_packet(payload)
                await trio.sleep(0.002)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        return got

    assert simulate(main) == PAYLOADS[:200]


def test_a_listener_tells_many_senders_apart() -> None:
    network = SimulatedNetwork(10)

    async def main() -> dict[int, list[bytes]]:
        studio = network.add_host("studio")
        got: dict[int, list[bytes]] = {}
        async with trio.open_nursery() as nursery:
            with use_network(studio):
                listener = await nursery.start(_listen, got)
            for number in range(3):
                camera = network.add_host(f"camera{number}")
                network.connect(camera, studio, LinkConditions(delay=0.01, loss=0.05))
                nursery.start_soon(_film, camera, number)
            await trio.sleep(3)
            del listener
            nursery.cancel_scope.cancel()
        return got

    async def _film(camera: SimulatedHost, number: int) -> None:
        with use_network(camera):
            async with tz.open_rist_sender(
                "rist://studio:5000", buffer=0.3, flow_id=2 * number, **ADVANCED
            ) as sender:
                for payload in PAYLOADS[:100]:
                    await sender.send_packet(bytes([number]) + payload)
                    await trio.sleep(0.002)

    async def _listen(
        got: dict[int, list[bytes]],
        *,
        task_status: trio.TaskStatus[tz.RistListener] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async def keep(receiver: tz.RistReceiver) -> None:
            with suppress(trio.EndOfChannel):
                while True:
                    for packet in await receiver.receive_packets():
                        got.setdefault(packet.flow_id, []).append(packet.payload)

        async with tz.open_rist_listener("rist://@:5000", buffer=0.3, **ADVANCED) as listener:
            task_status.started(listener)
            async with trio.open_nursery() as nursery:
                while True:
                    nursery.start_soon(keep, await listener.accept())

    got = simulate(main)
    assert got == {
        2 * number: [bytes([number]) + payload for payload in PAYLOADS[:100]] for number in range(3)
    }


# -- whom it does not believe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"secret": "hush", "cipher": "gcm"}, {"secret": "other", "cipher": "gcm"}, "another secret"),
        ({"secret": "hush"}, {}, "in the clear"),
        ({}, {"secret": "hush"}, "no secret"),
    ],
)
@pytest.mark.parametrize("substrate", [True, False])
def test_the_wrong_key_is_said(ours: Knobs, theirs: Knobs, said: str, substrate: bool) -> None:
    network = SimulatedNetwork(11)

    async def main() -> None:
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02))
        common: Knobs = {
            **ADVANCED,
            "gre_substrate": substrate,
            "advanced_start": "at-once",
            "fast_start": True,
        }
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(
                    nursery, "rist://@:5000", connect_timeout=5, **{**common, **ours}
                )
            with use_network(alice):
                sender = await tz.connect_rist_sender(nursery, "rist://bob:5000", **{**common, **theirs})
            for _ in range(20):
                await sender.send_packet(b"\x47" + bytes(187))
                await trio.sleep(0.05)
            with pytest.raises(AuthenticationFailed, match=said):
                await receiver.wait_connected()
            nursery.cancel_scope.cancel()

    simulate(main)


def test_a_flood_of_strangers_disturbs_nobody() -> None:
    network = SimulatedNetwork(12)
    chance = random.Random(12)

    async def main() -> Any:
        mallory = network.add_host("mallory")
        got: list[bytes] = []
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02))
        network.connect(mallory, bob, LinkConditions(delay=0.001))
        knobs: Knobs = {**ADVANCED, "secret": "hush", "cipher": "gcm", "buffer": 0.3}
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000", **knobs)
            with use_network(alice):
                sender = await tz.connect_rist_sender(nursery, "rist://bob:5000", **knobs)
            await sender.wait_connected()
            endpoint = await mallory.open_datagram_endpoint(EndpointOptions(local=Address("", 0)))

            async def flood() -> None:
                while True:
                    header = AdvancedHeader(
                        chance.getrandbits(32),
                        0,
                        sender.flow_id | chance.getrandbits(1),
                        kind=chance.choice([4, 5, 8]),
                        psk=chance.choice([0, 1, 4]),
                        nonce=chance.randbytes(4),
                        iv=1,
                    )
                    body = header.encode() + chance.randbytes(chance.randrange(40))
                    await endpoint.send([Run(Address(bob.addresses[0], 5000), [body])])
                    await trio.sleep(0.001)

            async def collect() -> None:
                while True:
                    got.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(flood)
            nursery.start_soon(collect)
            for payload in PAYLOADS[:200]:
                await sender.send_packet(payload)
                await trio.sleep(0.002)
            await trio.sleep(1)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
        return got, statistics, mallory

    got, statistics, mallory = simulate(main)
    assert got == PAYLOADS[:200]
    assert statistics.peer.strangers_ignored > 1000
    network.settle()
    answers = [record for record in network.trace.packets if record.destination.host in mallory.addresses]
    assert answers == []
