"""RIST in DTLS: libRIST's tools speak the tunnel, OpenSSL's own programs the DTLS around it, in both roles.

libRIST has no DTLS. So OpenSSL's program stands before it, and every datagram of the one is a record of the other's:
a pair of sockets that keep boundaries is its standard input and output.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import terzetto as tz
from terzetto.rist.dtls import RistDtls
from tests.interop.rist_peers import PACKETS, Arrivals, free_pair, running, udp_input, udp_output
from tests.net.dtls.identities import make_identity

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.needs("ristsender", "ristreceiver"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
]

HOST = "127.0.0.1"
AUTHORITY = make_identity("an authority", is_authority=True)
SERVER = make_identity(HOST, signed_by=AUTHORITY)


# Three processes and two sockets stand between the ends, none of them made for haste.
EDGE, COUNT, INTERVAL = 100, 500, 0.004
WANTED = b"".join(PACKETS[EDGE : COUNT - EDGE])


async def feed(send: Callable[[bytes], Awaitable[object]]) -> None:
    for payload in PACKETS[:COUNT]:
        await send(payload)
        await trio.sleep(INTERVAL)


async def check(arrivals: Arrivals, about: Callable[[], object]) -> None:
    with trio.move_on_after(20):
        while WANTED not in arrivals.data:  # noqa: ASYNC110
            await trio.sleep(0.05)
    assert WANTED in arrivals.data, about()


@asynccontextmanager
async def openssl(plain: trio.socket.SocketType, *arguments: str) -> AsyncIterator[None]:
    """An OpenSSL program between its DTLS peer and *plain*, whose peer is the first that speaks, or is connected."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inside = trio.socket.from_stdlib_socket(ours)
    process = await trio.lowlevel.open_process(
        ["openssl", *arguments], stdin=its, stdout=its, stderr=subprocess.DEVNULL
    )
    its.close()

    async def outwards() -> None:
        while True:
            datagram, address = await plain.recvfrom(65536)
            if not connected.is_set():
                await plain.connect(address)
                connected.set()
            await inside.send(datagram)

    async def inwards() -> None:
        while datagram := await inside.recv(65536):
            await connected.wait()
            try:
                await plain.send(datagram)
            except ConnectionRefusedError:
                pass  # not up yet

    connected = trio.Event()
    try:
        plain.getpeername()
        connected.set()
    except OSError:
        pass
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outwards)
            nursery.start_soon(inwards)
            yield
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        inside.close()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize("security", ["&secret=hush&aes-type=256"])
async def test_we_send_to_ristreceiver_through_s_server(tmp_path: Path, security: str) -> None:
    (tmp_path / "both.pem").write_bytes(SERVER.pem + SERVER.key_pem)
    accepting, listening = free_pair(), free_pair()
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        await plain.connect((HOST, listening))
        async with (
            udp_output() as (output, arrivals),
            running(
                *(
                    "ristreceiver",
                    "-p",
                    "1",
                    "-i",
                    f"rist://@{HOST}:{listening}?buffer=1000&session-timeout=5000{security}",
                ),
                *("-o", f"udp://{HOST}:{output}"),
            ),
            openssl(
                plain,
                *("s_server", "-dtls1_2", "-quiet", "-accept", f"{HOST}:{accepting}", "-mtu", "1472"),
                *("-cert", str(tmp_path / "both.pem"), "-key", str(tmp_path / "both.pem")),
            ),
            tz.open_rist_sender(
                f"rist://{HOST}:{accepting}?buffer=1000&session-timeout=5000{security}",
                dtls=RistDtls(ca=AUTHORITY.pem),
            ) as sender,
        ):
            await feed(sender.send_packet)
            await check(arrivals, sender.statistics)
            assert sender.statistics().peer.feedback_received > 10


@pytest.mark.parametrize("security", [""])
async def test_we_receive_from_ristsender_through_s_client(tmp_path: Path, security: str) -> None:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    arrivals = Arrivals()
    into_tool = free_pair()
    dtls = RistDtls(certificate=SERVER.pem, private_key=SERVER.key_pem)

    async def collect(receiver: tz.RistReceiver) -> None:
        async for chunk in receiver:
            arrivals.data += chunk

    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        await plain.bind((HOST, 0))
        calling = plain.getsockname()[1]
        async with (
            tz.open_rist_receiver(
                f"rist://@{HOST}:{free_pair()}?buffer=1000&session-timeout=5000{security}", dtls=dtls
            ) as receiver,
            openssl(
                plain,
                *("s_client", "-dtls1_2", "-quiet", "-verify_return_error"),
                *("-connect", f"{HOST}:{receiver.local_address.port}", "-mtu", "1472"),
                *("-CAfile", str(tmp_path / "ca.pem")),
            ),
            running(
                *("ristsender", "-p", "1", "-i", f"udp://@{HOST}:{into_tool}"),
                *("-o", f"rist://{HOST}:{calling}?buffer=1000&session-timeout=5000{security}"),
            ),
            udp_input(into_tool) as send,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(collect, receiver)
            with trio.fail_after(30):
                await receiver.wait_connected()
            await feed(send)
            await check(arrivals, receiver.statistics)
            nursery.cancel_scope.cancel()
