"""What strangers, forgers and floods may cost: nothing that lasts, and never somebody else's association."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from terzetto.errors import MalformedPacket
from terzetto.net.dtls import DtlsEnded, DtlsEndpoint, DtlsEstablished
from terzetto.net.dtls.cookies import CookieJar
from terzetto.net.dtls.core import DtlsCore
from terzetto.net.dtls.records import ClientHello, hello_verify_request, is_client_hello, is_record
from terzetto.net.endpoint import Address, Run
from terzetto.primitives.time import MICROS_PER_SECOND
from tests.net.dtls.worlds import CALLER, CALLER_HOST, KEY, LISTENER, LISTENER_HOST, World, flat, world
from tests.net.simulated.worlds import bind

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")

if TYPE_CHECKING:
    from collections.abc import Callable

HERE, THERE = Address(CALLER_HOST, 1), Address(LISTENER_HOST, 5000)
SECOND = MICROS_PER_SECOND


def listening(**changes: object) -> DtlsCore:
    """The core of a listening end."""
    return DtlsCore(attrs.evolve(LISTENER, **changes), remote=None, cookie_key=KEY)  # type: ignore[arg-type]


def calling() -> DtlsCore:
    """The core of a calling end that has sent its first flight."""
    core = DtlsCore(CALLER, remote=THERE, cookie_key=KEY)
    core.start(now=0)
    return core


def sent_by(core: DtlsCore) -> list[bytes]:
    """What a core wants on the wire."""
    return [bytes(datagram) for run in core.poll_transmits() for datagram in run.datagrams]


def hello_with_cookie(listener: DtlsCore, source: Address, *, now: int = 0) -> bytes:
    """A ClientHello that *listener* will believe to come from *source*."""
    caller = calling()
    sent_by(listener)
    listener.handle_datagrams([Run(source, sent_by(caller))], now=now)
    caller.handle_datagrams([Run(THERE, sent_by(listener))], now=now)
    (hello,) = sent_by(caller)
    return hello


def test_a_flood_of_hellos_without_cookies_leaves_no_state() -> None:
    listener = listening()
    (hello,) = sent_by(calling())
    for number in range(5000):
        listener.handle_datagrams(
            [Run(Address(f"10.9.{number >> 8}.{number & 255}", 7), [hello])], now=number
        )
        (answer,) = sent_by(listener)
        assert len(answer) <= len(hello), "an answer may not be longer than what asked for it"
    statistics = listener.statistics()
    assert (statistics.handshakes, statistics.sessions) == (0, 0)
    assert listener.next_timeout() is None


def test_the_shortest_hello_gets_a_shorter_answer() -> None:
    body = bytes(34) + b"\0" + b"\0" + b"\0\2\0\0" + b"\1\0"
    message = b"\1" + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body
    hello = b"\x16\xfe\xfd" + bytes(8) + len(message).to_bytes(2, "big") + message
    decoded = ClientHello.decode_untrusted(hello)
    assert decoded.cookie == b""
    assert len(hello_verify_request(decoded, bytes(32))) <= len(hello)


def test_a_cookie_is_good_for_its_address_its_hello_and_a_minute() -> None:
    jar = CookieJar(b"key")
    cookie = jar.bake(HERE, b"hello", now=29 * SECOND)
    assert len(cookie) == 32
    assert jar.is_ours(cookie, HERE, b"hello", now=59 * SECOND)
    assert not jar.is_ours(cookie, HERE, b"hello", now=60 * SECOND)
    assert not jar.is_ours(cookie, HERE._replace(port=2), b"hello", now=29 * SECOND)
    assert not jar.is_ours(cookie, THERE, b"hello", now=29 * SECOND)
    assert not jar.is_ours(cookie, HERE, b"another", now=29 * SECOND)
    assert not jar.is_ours(cookie[:-1], HERE, b"hello", now=29 * SECOND)
    assert not jar.is_ours(b"", HERE, b"hello", now=29 * SECOND)
    assert not CookieJar(b"another key").is_ours(cookie, HERE, b"hello", now=29 * SECOND)


def test_handshakes_of_one_host_and_of_all_are_bounded_and_their_places_come_back() -> None:
    listener = listening(max_handshakes=8)
    for port in range(1, 6):
        source = HERE._replace(port=port)
        listener.handle_datagrams([Run(source, [hello_with_cookie(listener, source)])], now=0)
    assert listener.statistics().handshakes == 2, "one host may hold a quarter"
    for number in range(20):
        source = Address(f"10.0.1.{number}", 1)
        listener.handle_datagrams([Run(source, [hello_with_cookie(listener, source)])], now=0)
    assert listener.statistics().handshakes == 8
    assert listener.statistics().dropped["too many peers"] == 3 + 14
    listener.handle_timeout(now=11 * SECOND)
    assert listener.statistics().handshakes == 0
    assert listener.statistics().failed == 8
    assert listener.next_timeout() is None


def test_a_hello_that_is_repeated_opens_no_second_handshake() -> None:
    listener = listening()
    hello = hello_with_cookie(listener, HERE)
    listener.handle_datagrams([Run(HERE, [hello])], now=0)
    first = sum(map(len, sent_by(listener)))
    assert first > 500
    listener.handle_datagrams([Run(HERE, [hello] * 50)], now=1000)
    assert sent_by(listener) == [], "a repeat may not be answered with a flight each"
    assert listener.statistics().handshakes == 1


async def test_sessions_are_bounded(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener = made.listen(max_sessions=2)
        callers = [made.call() for _ in range(3)]
        established = 0
        for caller in callers:
            with trio.move_on_after(2):
                await caller.wait_established()
                established += 1
        assert established == len(listener.peers()) == 2
        callers[0].close()
        await trio.sleep(0.1)
        await callers[2].wait_established()
        for caller in callers:
            caller.close()


async def _established(made: World) -> tuple[DtlsEndpoint, Callable[[bytes], None]]:
    """A caller that has an association, and a way to send raw datagrams from its address."""
    inner = bind(made.camera, 7000, CALLER_HOST)
    caller = made.call(inner)
    await caller.wait_established()
    await trio.sleep(0.1)
    made.listener.poll_events()

    def forge(datagram: bytes) -> None:
        assert inner.send_nowait([Run(made.address, [datagram])]) == []

    return caller, forge


async def _still_works(made: World, caller: DtlsEndpoint) -> None:
    made.heard.clear()
    await caller.send([Run(made.address, [b"still here"])])
    await trio.sleep(0.1)
    assert made.heard == [b"still here"]
    assert made.listener.poll_events() == []


async def test_forged_hellos_from_its_address_do_not_end_an_association(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        caller, forge = await _established(made)
        forge(sent_by(calling())[0])
        await _still_works(made, caller)
        # Somebody on the path knows the cookie too, but not how to go on.
        forge(hello_with_cookie(made.listener._core, caller.local_address))
        await trio.sleep(0.1)
        assert made.listener.dtls_statistics().handshakes == 1
        await _still_works(made, caller)
        await trio.sleep(20)
        assert made.listener.dtls_statistics().handshakes == 0
        (ended,) = made.listener.poll_events()
        assert isinstance(ended, DtlsEnded)
        assert not ended.was_established
        await _still_works(made, caller)
        caller.close()


async def test_a_peer_that_lost_its_memory_takes_the_place_of_its_old_self(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        caller, _ = await _established(made)
        # It dies without a goodbye, and comes back at the same address.
        caller._inner.close()
        again = made.call(bind(made.camera, 7000, CALLER_HOST))
        await again.wait_established()
        await trio.sleep(0.1)
        (established,) = made.listener.poll_events()
        assert isinstance(established, DtlsEstablished)
        assert established.replaced
        await _still_works(made, again)
        again.close()


async def test_forged_alerts_handshakes_and_noise_do_not_end_an_association(
    autojump_clock: MockClock,
) -> None:
    async with world() as made:
        made.listen()
        caller, forge = await _established(made)
        random = Random(1)
        for epoch in (b"\0\0", b"\0\1", b"\0\2", b"\xff\xff"):
            for kind in range(20, 24):
                for size in (1, 2, 13, 40, 1400):
                    header = (
                        bytes([kind]) + b"\xfe\xfd" + epoch + random.randbytes(6) + size.to_bytes(2, "big")
                    )
                    forge(header + random.randbytes(size))
                    forge(header + b"\2\0" * (size // 2))  # fatal alerts, in the clear
        for size in (0, 1, 12, 13, 14, 100, 20_000):
            forge(b"\x17\xfe\xfd" + random.randbytes(size))
            forge(random.randbytes(size))
        await trio.sleep(0.1)
        await _still_works(made, caller)
        assert made.listener.dtls_statistics().sessions == 1
        caller.close()


async def test_changed_datagrams_are_dropped_and_counted(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen()
        caller, forge = await _established(made)
        there, _ = made.network.links_between(CALLER_HOST, LISTENER_HOST)
        there.cut()
        await caller.send([Run(made.address, [b"pay 10", b"pay 20"])])
        there.mend()
        one, other = [packet.datagram for packet in made.network.trace.packets][-2:]
        for position in range(len(one)):
            forge(one[:position] + bytes([one[position] ^ 1]) + one[position + 1 :])
        for length in range(len(other)):
            forge(other[:length])
        await trio.sleep(0.1)
        assert made.heard == []
        assert made.listener.dtls_statistics().dropped["forged or repeated"] > 0
        await _still_works(made, caller)
        caller.close()


async def test_a_caller_that_is_fed_nonsense_meanwhile_gets_through(autojump_clock: MockClock) -> None:
    async with world() as made:
        listener, inner = made.listen(), bind(made.camera, 7000, CALLER_HOST)
        caller = made.call(inner)
        # A ServerHello that makes no sense, from the listener's address, before the real one can answer.
        nonsense = (
            b"\2" + b"\0\0\x26" + b"\0\0" + b"\0\0\0" + b"\0\0\x26" + b"\xfe\xfd" + bytes(32) + b"\0\0\0\0"
        )
        forged = b"\x16\xfe\xfd" + bytes(8) + len(nonsense).to_bytes(2, "big") + nonsense
        await listener._inner.send([Run(inner.local_address, [forged] * 3)])
        await caller.wait_established()
        assert caller.dtls_statistics().dropped["forged answer to a handshake"] > 0
        await _still_works_first(made, caller)
        caller.close()


async def _still_works_first(made: World, caller: DtlsEndpoint) -> None:
    await trio.sleep(1)
    await made.listener.send([Run(caller.local_address, [b"hello"])])
    assert flat(await caller.receive()) == [b"hello"]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_hello_or_malformed(data: bytes) -> None:
    framed = b"\x16\xfe\xfd" + bytes(8) + len(data).to_bytes(2, "big") + data
    for datagram in (data, framed, framed[:-1]):
        if is_record(datagram) and is_client_hello(datagram):
            try:
                hello = ClientHello.decode_untrusted(datagram)
            except MalformedPacket:
                continue
            assert len(hello.cookie) + len(hello.parameters) < len(datagram)


@given(st.data())
def test_a_mutilated_handshake_never_raises(data: st.DataObject) -> None:
    listener = listening()
    hello = bytearray(hello_with_cookie(listener, HERE))
    for _ in range(data.draw(st.integers(1, 4))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(hello)))
    listener.handle_datagrams([Run(HERE, [bytes(hello[:cut]), bytes(hello)])], now=0)
    for datagram in data.draw(st.lists(st.binary(max_size=60), max_size=5)):
        framed = b"\x16\xfe\xfd" + bytes(8) + len(datagram).to_bytes(2, "big") + datagram
        listener.handle_datagrams([Run(HERE, [framed, datagram])], now=1)
    assert listener.statistics().sessions == 0
