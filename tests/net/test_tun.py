"""TUN devices: who gets one, and what passes through it."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from typing import Any

import pytest
import trio
import trio.testing

from terzetto.errors import AddressInUse, InvalidOption, PermissionRefused, UnsupportedOperation
from terzetto.net.linux import IS_LINUX
from terzetto.net.tun import TunDevice, open_tun
from tests.net.namespace import needs_namespace, run_in_namespace


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


@pytest.mark.interop
@needs_namespace
def test_packets_of_this_machine_come_out_and_ours_go_in() -> None:
    async def body() -> None:
        with open_tun("rist0", mtu=1300) as device:
            assert device.name == "rist0"
            ip("addr add 10.9.0.1/24 dev rist0")
            assert not device.send_nowait(bytes(20))  # it is down, and this is no IP packet either
            ip("link set rist0 up")
            assert (
                "mtu 1300" in subprocess.run(["ip", "link"], check=True, capture_output=True).stdout.decode()
            )
            with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                await sock.bind(("10.9.0.1", 4000))
                await sock.sendto(b"hello", ("10.9.0.2", 5000))
                packet = b""
                while not packet.endswith(b"hello"):
                    packet = (await device.receive())[-1]  # IPv6 has things to say of its own
                # The answer is the question with its ends exchanged, which leaves both checksums as they are.
                back = (
                    packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:]
                )
                assert device.send_nowait(back)
                assert await sock.recvfrom(100) == (b"hello", ("10.9.0.2", 5000))
            with pytest.raises(AddressInUse, match="in use by another program"):
                with open_tun("rist0"):
                    pass  # pragma: no cover
        with pytest.raises(trio.ClosedResourceError):
            await device.receive()
        with pytest.raises(trio.ClosedResourceError):
            device.send_nowait(back)
        assert not [name for _, name in socket.if_nameindex() if name == "rist0"]

    run_in_namespace("", body)


@pytest.mark.interop
@needs_namespace
def test_closing_wakes_whoever_waits() -> None:
    async def body() -> None:
        with open_tun() as device:
            assert device.name.startswith("tun")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_expect_closed, device)
                await trio.testing.wait_all_tasks_blocked()
                device.close()

    run_in_namespace("", body)


async def _expect_closed(device: TunDevice) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await device.receive()


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (errno.EPERM, PermissionRefused, "CAP_NET_ADMIN.*ip tuntap add dev rist0 mode tun"),
        (errno.EACCES, PermissionRefused, "does not let us have"),
        (errno.ENOENT, UnsupportedOperation, "load the kernel's module tun"),
    ],
)
def test_who_may_not_have_one_is_told_how_to_get_it(
    number: int, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("terzetto.net.tun.IS_LINUX", True)
    monkeypatch.setattr("terzetto.net.tun.os.open", refuse)
    with pytest.raises(error, match=message):
        with open_tun("rist0"):
            pass  # pragma: no cover


def test_other_systems_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terzetto.net.tun.IS_LINUX", False)
    with pytest.raises(UnsupportedOperation, match="Linux only"):
        with open_tun("rist0"):
            pass  # pragma: no cover


@pytest.mark.skipif(not IS_LINUX, reason="TUN devices are Linux's")
@pytest.mark.parametrize("name", ["x" * 16, "a b", "a/b"])
def test_a_name_that_no_interface_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidOption, match="cannot be the name"):
        with open_tun(name):
            pass  # pragma: no cover
