"""Any IP traffic through a RIST session: a TUN device at each end, and the out-of-band channel between them.

Main carries whole packets of other protocols beside its media, unrepeated and unordered, as IP itself would; with
a secret they are enciphered as the media is. It goes both ways, whichever way the media goes. libRIST takes IPv4 only.

Whoever can send into the session can send into this machine's network: bridge only sessions with a secret or a login,
and let the firewall treat the device as what it is, a cable to somebody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import attrs
import trio

from terzetto.errors import InvalidOption
from terzetto.net.tun import TunDevice
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.api import RistReceiver, RistSender
from terzetto.rist.wire.gre import IPV4

__all__ = ["IPV6", "BridgeStatistics", "IpBridge"]

IPV6: Final = 0x86DD

_ETHER_TYPES: Final = {4: IPV4, 6: IPV6}
_SHORTEST: Final = {IPV4: 20, IPV6: 40}


@attrs.frozen
class BridgeStatistics:
    """What an `IpBridge` carried, and what it did not."""

    sent: int = 0
    """Packets of this machine that left by the session."""
    received: int = 0
    """Packets of the other end that this machine got."""
    too_long: int = 0
    """Packets of this machine that do not fit: the device's MTU is too large."""
    unheard: int = 0
    """Packets of this machine that nobody was there for."""
    refused: int = 0
    """What came and was no IP packet, or not taken by the kernel."""


class IpBridge:
    """Carries what is sent into *device* through *stream* to the device at the other end, and back."""

    def __init__(self, stream: RistSender | RistReceiver, device: TunDevice) -> None:
        self._stream = stream
        self._device = device
        self._sent = self._received = self._too_long = self._unheard = self._refused = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry packets until cancelled, or until the session or the device is closed."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_closed, self._carry_out, nursery.cancel_scope)
            nursery.start_soon(self._until_closed, self._carry_in, nursery.cancel_scope)
            task_status.started()

    async def _until_closed(self, carry: Callable[[], Awaitable[None]], both: trio.CancelScope) -> None:
        with suppress(trio.ClosedResourceError, trio.EndOfChannel):
            await carry()
        both.cancel()

    def statistics(self) -> BridgeStatistics:
        """A snapshot of the counters."""
        return BridgeStatistics(
            sent=self._sent,
            received=self._received,
            too_long=self._too_long,
            unheard=self._unheard,
            refused=self._refused,
        )

    async def _carry_out(self) -> None:
        while True:
            for packet in await self._device.receive():
                ether_type = _ETHER_TYPES.get(packet[0] >> 4)
                if ether_type is None:
                    continue
                try:
                    if await self._stream.send_oob(packet, ether_type):
                        self._sent += 1
                    else:
                        self._unheard += 1
                except InvalidOption:
                    self._too_long += 1

    async def _carry_in(self) -> None:
        while True:
            came = await self._stream.receive_oob()
            if _is_ip(came.data, came.ether_type) and self._device.send_nowait(came.data):
                self._received += 1
            else:
                self._refused += 1


def _is_ip(data: Buffer, ether_type: int) -> bool:
    """Whether a stranger's *data* may be what its type says; the kernel looks closer."""
    shortest = _SHORTEST.get(ether_type)
    return shortest is not None and len(data) >= shortest and _ETHER_TYPES.get(data[0] >> 4) == ether_type
