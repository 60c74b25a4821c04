from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from terzetto.errors import AddressInUse, AuthenticationFailed, ConnectionRefusedByPeer, InvalidOption
from terzetto.net.kernel import KERNEL
from terzetto.net.stream import ByteListener, ByteStream, StreamOptions
from terzetto.net.tls import accept_tls, connect_tls, fingerprint_of
from terzetto.primitives.datagrams import Address
from tests.net.certificates import make_certificate


async def open_pair() -> tuple[ByteStream, ByteStream]:
    [listener] = await KERNEL.open_tcp_listeners(Address("127.0.0.1", 0), StreamOptions())
    ours = await KERNEL.open_tcp_stream(listener.local_address, StreamOptions())
    theirs = await listener.accept()
    await listener.aclose()
    return ours, theirs


async def test_bytes_pass_both_ways_and_end() -> None:
    ours, theirs = await open_pair()
    assert ours.peer_address == theirs.local_address
    assert theirs.peer_address == ours.local_address
    await ours.send_all(b"there")
    assert theirs.send_nowait(b"back") == 4
    assert await theirs.receive_some() == b"there"
    assert await ours.receive_some() == b"back"
    await ours.aclose()
    assert await theirs.receive_some() == b""
    theirs.close()


async def test_what_does_not_fit_is_taken_in_part_and_the_rest_waits() -> None:
    ours, theirs = await open_pair()
    size = 32 << 20
    taken = ours.send_nowait(bytes(size))
    assert 0 < taken < size
    received = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(1 << 20))
        while received < taken + (1 << 20):
            received += len(await theirs.receive_some())
    ours.close()
    theirs.close()


async def test_closing_wakes_whoever_reads() -> None:
    ours, theirs = await open_pair()
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            ours.close()
    theirs.close()


async def test_two_readers_are_one_too_many() -> None:
    ours, theirs = await open_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        nursery.cancel_scope.cancel()
    ours.close()
    theirs.close()


async def test_a_closed_port_says_so() -> None:
    [listener] = await KERNEL.open_tcp_listeners(Address("127.0.0.1", 0), StreamOptions())
    address = listener.local_address
    await listener.aclose()
    with pytest.raises(ConnectionRefusedByPeer, match="nobody listens"):
        await KERNEL.open_tcp_stream(address, StreamOptions())


async def test_a_taken_port_says_so() -> None:
    [listener] = await KERNEL.open_tcp_listeners(Address("127.0.0.1", 0), StreamOptions())
    with pytest.raises(AddressInUse):
        await KERNEL.open_tcp_listeners(listener.local_address, StreamOptions())
    await listener.aclose()


async def test_every_address_means_both_families() -> None:
    [listener] = await KERNEL.open_tcp_listeners(Address("", 0), StreamOptions())
    stream = await KERNEL.open_tcp_stream(Address("127.0.0.1", listener.local_address.port), StreamOptions())
    accepted = await listener.accept()
    assert accepted.peer_address.host == "127.0.0.1"
    stream.close()
    accepted.close()
    await listener.aclose()


async def _tls_pair(
    listener: ByteListener, context: ssl.SSLContext, *, fingerprint: str | None
) -> tuple[ByteStream, ByteStream]:
    served: list[ByteStream] = []

    async def serve() -> None:
        served.append(await accept_tls(await listener.accept(), context))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        transport = await KERNEL.open_tcp_stream(listener.local_address, StreamOptions())
        ours = await connect_tls(transport, "localhost", fingerprint=fingerprint)
    return ours, served[0]


async def test_a_pinned_certificate_is_enough(tmp_path: Path) -> None:
    context, der = make_certificate(tmp_path)
    [listener] = await KERNEL.open_tcp_listeners(Address("127.0.0.1", 0), StreamOptions())
    ours, theirs = await _tls_pair(listener, context, fingerprint=fingerprint_of(der))
    assert ours.send_nowait(b"x") == 0
    await ours.send_all(b"secret")
    assert await theirs.receive_some() == b"secret"
    await ours.aclose()
    await theirs.aclose()
    await listener.aclose()


@pytest.mark.parametrize("fingerprint", [None, "00" * 32], ids=["unknown authority", "other fingerprint"])
async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path, fingerprint: str | None) -> None:
    context, _ = make_certificate(tmp_path)
    [listener] = await KERNEL.open_tcp_listeners(Address("127.0.0.1", 0), StreamOptions())
    with pytest.raises(BaseExceptionGroup) as caught:
        await _tls_pair(listener, context, fingerprint=fingerprint)
    assert caught.value.subgroup(AuthenticationFailed) is not None
    await listener.aclose()


async def test_a_fingerprint_that_is_none_is_refused() -> None:
    ours, theirs = await open_pair()
    with pytest.raises(InvalidOption, match="64 hexadecimal"):
        await connect_tls(ours, "localhost", fingerprint="abc")
    theirs.close()
