"""Which protocols the demonstration can show, one table entry each.

An entry knows how to open a receiver on this host and a sender that reaches it through the impairment proxy, and
how to read what both counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeAlias

import attrs
import trio

from terzetto.gateway.impairment import ImpairmentProxy
from terzetto.net.endpoint import Address
from terzetto.rist.api import RistReceiver, RistSender, open_rist_receiver, open_rist_sender
from terzetto.rist.options import CongestionControl, Profile, RistOptions
from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.options import SrtOptions
from terzetto.srt.stream import SrtStream

__all__ = ["PROTOCOLS", "Bridge", "DemoEnds", "DemoProtocol", "Figures"]

LOOPBACK: Final = "127.0.0.1"

# On loopback the answer takes two of the simulated ways; whoever needs this long is not there.
_CONNECT_TIMEOUT: Final = 10.0

_DEMO_PASSPHRASE: Final = "everybody may know this one"


@attrs.frozen(kw_only=True)
class Figures:
    """What both ends counted so far, in packets."""

    sent: int
    retransmitted: int
    delivered: int
    recovered: int
    unrecovered: int
    """What the receiver knows it will never get; what it never heard of is in no counter of its own."""
    missing: int
    """Gaps that are being asked for now."""
    round_trip: float


class DemoEnds(ABC):
    """An open sender and an open receiver."""

    sender: trio.abc.SendStream
    receiver: trio.abc.ReceiveStream

    @abstractmethod
    async def wait_connected(self) -> None:
        """Wait until the sender has found its receiver."""

    @abstractmethod
    def figures(self) -> Figures:
        """What both ends counted so far."""


Bridge: TypeAlias = Callable[[Address], AbstractAsyncContextManager[ImpairmentProxy]]
"""Puts the impairment in front of an address; what it yields is where the sender has to send."""


class _OpenEnds(Protocol):
    def __call__(
        self, profile: str, latency: float, bridge: Bridge, query: str
    ) -> AbstractAsyncContextManager[DemoEnds]: ...


@attrs.frozen(kw_only=True)
class DemoProtocol:
    """One protocol as the demonstration shows it."""

    title: str
    open_ends: _OpenEnds
    profiles: Mapping[str, bool]
    """The profiles there are, the default one first, and whether each takes a pair of ports."""
    default_latency: float


def _for_listener(query: str) -> str:
    """Who lets users in need not be one of them."""
    pairs = query.split("&") if query else []
    if any(pair.startswith("users=") for pair in pairs):
        pairs = [pair for pair in pairs if not pair.startswith(("username=", "password="))]
    return "?" + "&".join(pairs) if pairs else ""


def _for_caller(query: str) -> str:
    """A caller logs in, and lets nobody in."""
    pairs = [pair for pair in query.split("&") if pair and not pair.startswith("users=")]
    return "?" + "&".join(pairs) if pairs else ""


class _RistEnds(DemoEnds):
    def __init__(self, sender: RistSender, receiver: RistReceiver) -> None:
        self.sender: RistSender = sender
        self.receiver: RistReceiver = receiver

    async def wait_connected(self) -> None:
        await self.sender.wait_connected()

    def figures(self) -> Figures:
        sent, got = self.sender.statistics(), self.receiver.statistics()
        return Figures(
            sent=sent.sent,
            retransmitted=sent.retransmitted,
            delivered=got.delivered,
            recovered=got.recovered,
            unrecovered=got.unrecovered,
            missing=got.missing_now,
            round_trip=sent.peer.round_trip,
        )


@asynccontextmanager
async def _open_rist(profile: str, latency: float, bridge: Bridge, query: str) -> AsyncIterator[DemoEnds]:
    known: dict[str, Profile] = {"simple": "simple", "main": "main", "advanced": "advanced"}
    options = RistOptions(
        profile=known[profile],
        buffer_min=latency,
        buffer_max=latency,
        connect_timeout=_CONNECT_TIMEOUT,
        # Nobody else needs loopback's bandwidth. A busy machine makes round trips look long, and a sender that
        # cares for the network would then refuse some of the requests it gets.
        congestion_control=CongestionControl.OFF,
    )
    async with (
        open_rist_receiver(f"rist://@{LOOPBACK}:0{_for_listener(query)}", options=options) as receiver,
        bridge(receiver.local_address) as proxy,
        open_rist_sender(f"rist://{proxy.listen_address}{_for_caller(query)}", options=options) as sender,
    ):
        yield _RistEnds(sender, receiver)


class _SrtEnds(DemoEnds):
    def __init__(self, sender: SrtStream, receiver: SrtStream) -> None:
        self.sender: SrtStream = sender
        self.receiver: SrtStream = receiver

    async def wait_connected(self) -> None:
        await trio.lowlevel.checkpoint()  # both are, or they would not be here

    def figures(self) -> Figures:
        sent, got = self.sender.statistics(), self.receiver.statistics()
        return Figures(
            sent=sent.sent_unique,
            retransmitted=sent.retransmitted,
            delivered=got.received_unique - got.receive_buffer_packets,
            recovered=got.recovered,
            unrecovered=got.unrecovered,
            missing=got.missing,
            round_trip=sent.round_trip,
        )


@asynccontextmanager
async def _open_srt(profile: str, latency: float, bridge: Bridge, query: str) -> AsyncIterator[DemoEnds]:
    # Where much is lost the handshake takes a few attempts, a quarter of a second apart.
    options = SrtOptions(
        latency=latency,
        connect_timeout=_CONNECT_TIMEOUT,
        passphrase=_DEMO_PASSPHRASE if profile != "clear" else "",
        crypto_mode="gcm" if profile == "aes-gcm" else "auto",
    )
    async with (
        open_srt_listener(f"srt://@{LOOPBACK}:0{_for_listener(query)}", options=options) as listener,
        bridge(listener.local_address) as proxy,
        open_srt_stream(f"srt://{proxy.listen_address}{_for_caller(query)}", options=options) as sender,
    ):
        yield _SrtEnds(sender, await listener.accept())


PROTOCOLS: Final[Mapping[str, DemoProtocol]] = {
    "rist": DemoProtocol(
        title="RIST",
        open_ends=_open_rist,
        profiles={"main": False, "simple": True, "advanced": False},
        default_latency=1.0,
    ),
    "srt": DemoProtocol(
        title="SRT",
        open_ends=_open_srt,
        profiles={"aes-ctr": False, "aes-gcm": False, "clear": False},
        default_latency=1.0,
    ),
}
"""What ``terzetto demo --protocol`` may name."""
