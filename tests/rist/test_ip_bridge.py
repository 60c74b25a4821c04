"""Any IP traffic through a session: two machines that know each other only by it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
import trio

from terzetto import open_rist_receiver, open_rist_sender
from terzetto.net.tun import TunDevice, open_tun
from terzetto.rist.ip_bridge import IpBridge
from tests.net.namespace import needs_namespace, own_network, run_in_namespace

pytestmark = [pytest.mark.interop, needs_namespace]


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def configure(device: str, number: int) -> None:
    ip(f"addr add 10.9.0.{number}/24 dev {device}")
    ip(f"addr add fd09::{number}/64 dev {device} nodad")
    ip(f"link set {device} up")


async def exchange(here: trio.socket.SocketType, there: trio.socket.SocketType, target: str) -> None:
    await here.sendto(b"ping" * 200, (target, 7000))
    data, peer = await there.recvfrom(2000)
    assert data == b"ping" * 200
    await there.sendto(b"pong", peer)
    assert (await here.recvfrom(2000))[0] == b"pong"


@pytest.mark.parametrize("knobs", ["profile=main", "profile=main&secret=between+us"])
def test_two_machines_talk_through_their_devices(knobs: str) -> None:
    async def body() -> None:
        # Sockets and devices stay in the network that they were opened in, so one task can be two machines.
        with ExitStack() as kept:
            near = kept.enter_context(open_tun("near"))
            configure("near", 1)
            sockets = [
                trio.socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)
            ]
            with own_network():
                far = kept.enter_context(open_tun("far"))
                configure("far", 2)
                for family, host in ((socket.AF_INET, "10.9.0.2"), (socket.AF_INET6, "fd09::2")):
                    there = trio.socket.socket(family, socket.SOCK_DGRAM)
                    await there.bind((host, 7000))
                    sockets.append(there)
            await _bridge_and_talk(near, far, sockets, knobs)
            for each in sockets:
                each.close()

    run_in_namespace("", body, seconds=20)


async def _bridge_and_talk(
    near: TunDevice, far: TunDevice, sockets: Sequence[trio.socket.SocketType], knobs: str
) -> None:
    here4, here6, there4, there6 = sockets
    async with (
        open_rist_receiver(f"rist://@127.0.0.1:5000?{knobs}") as receiver,
        open_rist_sender(f"rist://127.0.0.1:5000?{knobs}") as sender,
        trio.open_nursery() as nursery,
    ):
        await sender.wait_connected()
        await receiver.wait_connected()
        bridges = IpBridge(sender, near), IpBridge(receiver, far)
        for bridge in bridges:
            await nursery.start(bridge.run)
        await exchange(here4, there4, "10.9.0.2")
        await exchange(here6, there6, "fd09::2")
        # Nothing but IP gets into the machine, whatever the peer says that it is.
        await sender.send_oob(b"no IP at all, but long enough to be", 0x0800)
        await sender.send_oob(b"\x45" + bytes(10), 0x0800)
        await sender.send_oob(b"\x45" + bytes(30), 0x86DD)
        await sender.send_oob(b"\x45" + bytes(30), 0x9999)
        with trio.fail_after(5):
            while bridges[1].statistics().refused < 4:  # noqa: ASYNC110 - counters tell nobody
                await trio.sleep(0.01)
        for bridge in bridges:
            assert bridge.statistics().sent >= 2
            assert bridge.statistics().received >= 2
            assert bridge.statistics().too_long == 0
        nursery.cancel_scope.cancel()


def test_what_does_not_fit_is_counted_and_a_closed_session_ends_the_bridge() -> None:
    async def body() -> None:
        with open_tun("near", mtu=9000) as near:
            configure("near", 1)
            async with (
                open_rist_receiver("rist://@127.0.0.1:5000?profile=main") as receiver,
                open_rist_sender("rist://127.0.0.1:5000?profile=main") as sender,
            ):
                await sender.wait_connected()
                bridge = IpBridge(sender, near)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(bridge.run)
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                        sock.sendto(bytes(5000), ("10.9.0.2", 7000))
                    with trio.fail_after(5):
                        while not bridge.statistics().too_long:  # noqa: ASYNC110 - counters tell nobody
                            await trio.sleep(0.01)
                    await sender.aclose()  # and the nursery ends
                await receiver.aclose()

    run_in_namespace("", body, seconds=20)
