"""Peers of before 1.3.0: what libsrt 1.2.3 said, both directions of data, keys, loss, and what cannot be had."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import attrs
import pytest

from terzetto.primitives.datagrams import Address, Run
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.events import SecurityChanged
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlHeader, ControlType, ExtensionSubtype, encode_control
from terzetto.srt.wire.extensions import Capabilities, Capability
from terzetto.srt.wire.handshake import CONCLUSION, DATAGRAMS, INDUCTION, Handshake
from terzetto.srt.wire.key_material import KmState
from terzetto.srt.wire.rejection import RejectionReason
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair
from tests.srt.legacy_vectors import CLEAR_TEXT, LEGACY_VECTORS, PASSPHRASE

SECRET = "correct horse battery"
HANDSHAKE = bytes.fromhex("80000000")
SIDES = pytest.mark.parametrize("sender", [CALLER, LISTENER], ids=["caller sends", "listener sends"])


class OldPair(Pair):
    """What a listener says of its version is put back to 4 on the way, so both sides take the other for an old one."""

    def transmit(self, source: Address, run: Run) -> None:
        super().transmit(source, Run(run.peer, [age(bytes(d)) for d in run.datagrams], local=run.local))


def age(packet: bytes) -> bytes:
    if packet[:4] != HANDSHAKE or Handshake.decode(packet[16:]).kind != INDUCTION:
        return packet
    aged = attrs.evolve(Handshake.decode(packet[16:]), version=4, encryption=0, extension=DATAGRAMS)
    return packet[:16] + aged.encode()


def addressed(packet: bytes, connection: Connection) -> bytes:
    """A captured packet, sent to this connection."""
    return packet[:12] + connection.agreement.local_id.to_bytes(4, "big") + packet[16:]


def extensions_of(pair: Pair, side: Address) -> list[tuple[int, bytes]]:
    """Subtype and body of the control packets that tell what the handshake did not."""
    return [
        (ControlHeader.decode(packet).subtype, packet[16:])
        for _, source, packet in pair.wire
        if source == side and packet[:2] == b"\xff\xff"
    ]


def other(side: Address) -> Address:
    return LISTENER if side == CALLER else CALLER


def stream_for_a_while(pair: Pair, sender: Address, count: int = 300) -> list[bytes]:
    payloads = [b"%05d" % number for number in range(count)]
    for number, payload in enumerate(payloads):
        pair.at(pair.now + number * 4 * MILLI, partial(pair.send, [payload], sender))
    pair.run(for_=count * 4 * MILLI + 3 * SECOND)
    return payloads


def test_what_libsrt_1_2_3_sends_is_read_as_it_meant_it() -> None:
    pair = Pair(listener=SrtOptions(passphrase=PASSPHRASE, latency=0.3))
    pair.arrive(CALLER, LISTENER, LEGACY_VECTORS["sender induction"])
    cookie = Handshake.decode(pair.wire[-1][2][16:]).cookie
    conclusion = LEGACY_VECTORS["sender conclusion"]
    asked = attrs.evolve(Handshake.decode(conclusion[16:]), cookie=cookie)
    pair.arrive(CALLER, LISTENER, conclusion[:16] + asked.encode())
    answer = Handshake.decode(pair.wire[-1][2][16:])
    assert (answer.version, answer.encryption, answer.extension, answer.kind) == (4, 0, 2, CONCLUSION)
    assert answer.initial_sequence == asked.initial_sequence
    assert not answer.blocks
    connection = pair.connections[LISTENER]

    for name in ("HSREQ", "first data packet", "second data packet"):
        pair.arrive(CALLER, LISTENER, addressed(LEGACY_VECTORS[f"sender {name}"], connection))
    (response,) = extensions_of(pair, LISTENER)
    # The very words of 1.2.3's own answer, with the longer of both delays.
    assert response == (ExtensionSubtype.HSRSP, LEGACY_VECTORS["receiver HSRSP"][16:])
    assert connection.agreement.receive_delay == 700 * MILLI
    assert connection.agreement.peer_version == 0x010203
    assert not pair.delivered[LISTENER]

    # It tells its key when something was acknowledged, so what came before was kept for it.
    pair.run(for_=100 * MILLI)
    assert any(packet[:2] == b"\x80\x02" for _, source, packet in pair.wire if source == LISTENER)
    pair.arrive(CALLER, LISTENER, addressed(LEGACY_VECTORS["sender KMREQ"], connection))
    assert extensions_of(pair, LISTENER)[-1] == (ExtensionSubtype.KMRSP, LEGACY_VECTORS["sender KMREQ"][16:])
    pair.run(for_=SECOND)
    assert [payload for _, payload in pair.delivered[LISTENER]] == CLEAR_TEXT
    assert pair.events(LISTENER, SecurityChanged)[-1].receiving is KmState.SECURED


def test_what_libsrt_1_2_3_answers_makes_us_send() -> None:
    pair = OldPair(caller=SrtOptions(passphrase=PASSPHRASE, stream_id="nobody/hears/this"))
    del pair.sockets[LISTENER]
    socket_id = pair.call()
    for name in ("induction response", "conclusion response"):
        packet = LEGACY_VECTORS[f"receiver {name}"]
        ours = Handshake.decode(pair.wire[-1][2][16:])
        theirs = attrs.evolve(Handshake.decode(packet[16:]), initial_sequence=ours.initial_sequence)
        if name == "induction response":
            theirs = attrs.evolve(theirs, socket_id=socket_id)
        header = packet[:12] + socket_id.to_bytes(4, "big")
        pair.arrive(LISTENER, CALLER, header + theirs.encode())
    connection = pair.connections[CALLER]
    assert pair.send([b"first", b"second"]) == 2
    pair.run(for_=20 * MILLI)
    (asked, request), (told, material) = extensions_of(pair, CALLER)
    assert (asked, told) == (ExtensionSubtype.HSREQ, ExtensionSubtype.KMREQ)
    assert Capabilities.decode(request) == Capabilities(0x010203, Capability(0x35), 0, 0)
    assert not [packet for _, _, packet in pair.wire if not packet[0] & 0x80], (
        "nothing leaves before the answers"
    )

    pair.arrive(LISTENER, CALLER, addressed(LEGACY_VECTORS["receiver HSRSP"], connection))
    assert connection.agreement.peer_delay == 700 * MILLI
    confirmation = encode_control(
        ControlType.EXTENSION,
        timestamp=0,
        destination=socket_id,
        subtype=ExtensionSubtype.KMRSP,
        body=material,
    )
    pair.arrive(LISTENER, CALLER, confirmation)
    assert len([packet for _, _, packet in pair.wire if not packet[0] & 0x80]) == 2
    assert connection.is_secured


@SIDES
@pytest.mark.parametrize("secret", ["", SECRET], ids=["clear", "secret"])
@pytest.mark.parametrize("loss", [0.0, 0.15])
def test_data_flows_from_whoever_sends(sender: Address, secret: str, loss: float) -> None:
    options = SrtOptions(passphrase=secret, latency=0.5)
    link = partial(Link, delay=20 * MILLI, jitter=2 * MILLI, loss=loss)
    pair = OldPair(seed=4, caller=options, listener=options, forth=link(), back=link())
    pair.connect()
    sent = stream_for_a_while(pair, sender)
    receiver = other(sender)
    assert [payload for _, payload in pair.delivered[receiver]] == sent
    sending, receiving = pair.connections[sender], pair.connections[receiver]
    assert sending.agreement.peer_delay == receiving.agreement.receive_delay == 500 * MILLI
    assert receiving.agreement.has_playout
    assert sending.is_secured is bool(secret)
    assert {subtype for subtype, _ in extensions_of(pair, receiver)} <= {2, 4}
    asked = [body for subtype, body in extensions_of(pair, sender) if subtype == ExtensionSubtype.HSREQ]
    assert len(asked) == 1 or loss
    on_time = pair.lateness[5:]
    assert max(on_time) < 50 * MILLI


@SIDES
def test_keys_change_on_the_way(sender: Address) -> None:
    options = SrtOptions(passphrase=SECRET, latency=0.3, key_refresh_rate=64, key_preannounce=16)
    pair = OldPair(caller=options, listener=options)
    pair.connect()
    sent = stream_for_a_while(pair, sender)
    assert [payload for _, payload in pair.delivered[other(sender)]] == sent
    told = {body for subtype, body in extensions_of(pair, sender) if subtype == ExtensionSubtype.KMREQ}
    assert len(told) > 3


@pytest.mark.parametrize(
    ("caller", "listener"),
    [(SECRET, SECRET + "!"), (SECRET, ""), ("", SECRET)],
    ids=["other", "none", "clear"],
)
def test_secrets_that_differ_let_nothing_through(caller: str, listener: str) -> None:
    pair = OldPair(caller=SrtOptions(passphrase=caller), listener=SrtOptions(passphrase=listener))
    pair.connect()
    stream_for_a_while(pair, CALLER, count=50)
    assert not pair.delivered[LISTENER]
    if caller:
        assert {c.state for c in pair.connections.values()} == {State.BROKEN}
        assert "passphrase" in pair.connections[LISTENER].reason


def test_messages_of_any_length_and_bytes_arrive_without_a_clock() -> None:
    for message_api in (True, False):
        options = SrtOptions(transmission_type="file", message_api=message_api)
        link = partial(Link, loss=0.1)
        pair = OldPair(caller=options, listener=options, forth=link(), back=link())
        caller, _ = pair.connect()
        message = bytes(range(250)) * 40
        if message_api:
            assert caller.send_message(
                message, in_order=True, time_to_live=None, origin=pair.now, now=pair.now
            )
            pair.touch(CALLER)
            pair.run(for_=10 * SECOND)
            assert [bytes(m.payload) for m in pair.messages[LISTENER]] == [message]
        else:
            pair.send([message[start : start + 1000] for start in range(0, len(message), 1000)])
            pair.run(for_=10 * SECOND)
            assert b"".join(payload for _, payload in pair.delivered[LISTENER]) == message


def test_a_receiver_that_never_answers_is_sent_to_all_the_same() -> None:
    def drop(packet: bytes, now: int) -> bool:
        return packet[:2] == b"\xff\xff"

    pair = OldPair(back=Link(drop=drop))
    pair.connect()
    sent = stream_for_a_while(pair, CALLER, count=20)
    asked = [moment for moment, _, packet in pair.wire if packet[:4] == b"\xff\xff\0\x01"]
    assert len(asked) == 10
    assert all(later - earlier >= 15 * MILLI for earlier, later in pairwise(asked))
    pair.run(for_=3 * SECOND)
    assert [payload for _, payload in pair.delivered[LISTENER]] == sent


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (SrtOptions(min_version=0x010300), RejectionReason.VERSION),
        (SrtOptions(packet_filter="fec,cols:10"), RejectionReason.FILTER),
        (SrtOptions(passphrase=SECRET, crypto_mode="gcm"), RejectionReason.CRYPTO),
    ],
)
def test_what_an_old_peer_cannot_do_is_refused(options: SrtOptions, reason: RejectionReason) -> None:
    pair = OldPair(caller=options)
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: pair.refused is not None)
    assert pair.refused is not None
    assert pair.refused.code == reason

    pair = OldPair(listener=options)
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: pair.refused is not None)
    last = Handshake.decode(pair.wire[-1][2][16:])
    assert (last.version, last.kind) == (4, 1002), "the one refusal that old peers understand"


def test_what_makes_no_sense_changes_nothing() -> None:
    pair = OldPair(listener=SrtOptions(passphrase=SECRET), caller=SrtOptions(passphrase=SECRET))
    _, listener = pair.connect()

    def tell(subtype: int, body: bytes) -> None:
        packet = encode_control(
            ControlType.EXTENSION,
            timestamp=0,
            destination=listener.agreement.local_id,
            subtype=subtype,
            body=body,
        )
        pair.arrive(CALLER, LISTENER, packet)

    tell(ExtensionSubtype.HSREQ, Capabilities(0x010500, Capability(0x35), 0, 9000).encode())
    tell(ExtensionSubtype.HSRSP, Capabilities(0x010203, Capability(0x3E), 0, 9000).encode())
    tell(ExtensionSubtype.HSREQ, bytes(4))
    tell(ExtensionSubtype.KMREQ, bytes(40))
    tell(ExtensionSubtype.KMREQ, bytes(4000))
    tell(ExtensionSubtype.KMRSP, KmState.BADSECRET.encode())
    tell(9, bytes(4))
    assert not extensions_of(pair, LISTENER)
    assert sum(listener.counters.malformed.values()) == 7
    assert listener.state is State.CONNECTED
    assert not listener.agreement.has_playout
    sent = stream_for_a_while(pair, CALLER, count=20)
    assert [payload for _, payload in pair.delivered[LISTENER]] == sent


def test_wrong_keys_cost_one_derivation_a_second() -> None:
    options = SrtOptions(passphrase=SECRET, enforced_encryption=False)
    pair = OldPair(listener=options)
    _, listener = pair.connect()
    material = bytearray(LEGACY_VECTORS["sender KMREQ"][16:])
    for number in range(50):
        material[20] = number  # of the salt, so each would have to be derived anew
        packet = encode_control(
            ControlType.EXTENSION,
            timestamp=0,
            destination=listener.agreement.local_id,
            subtype=ExtensionSubtype.KMREQ,
            body=bytes(material),
        )
        pair.arrive(CALLER, LISTENER, packet)
        pair.run(for_=10 * MILLI)
    assert extensions_of(pair, LISTENER) == [(ExtensionSubtype.KMRSP, KmState.BADSECRET.encode())]


def test_the_first_to_be_read_ends_with_the_connection() -> None:
    """A key that never comes leaves nothing to read, and the end is told."""
    pair = OldPair(listener=SrtOptions(passphrase=SECRET), caller=SrtOptions(passphrase=SECRET))
    caller, listener = pair.connect()
    stranger = addressed(LEGACY_VECTORS["sender first data packet"], listener)
    first = listener.agreement.first_received.to_bytes(4, "big")
    pair.arrive(CALLER, LISTENER, first + stranger[4:])
    caller.abort(now=pair.now)
    pair.touch(CALLER)
    pair.run(for_=SECOND)
    assert not pair.delivered[LISTENER]
    assert [n.what for n in pair.notices[LISTENER] if n.what is Signal.ENDED]
