"""RIST as an end of a route."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

import trio

from terzetto.gateway.again import reconnection_words
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.rist import events
from terzetto.rist.api import RistReceiver, RistSender, connect_rist_receiver, connect_rist_sender
from terzetto.rist.events import RistEvent
from terzetto.rist.runtime import Silence
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics
from terzetto.rist.url import options_from_url
from terzetto.url import EndpointUrl

__all__ = ["RistSink", "RistSource", "plan_bonded_sink", "plan_bonded_source", "plan_sink", "plan_source"]

# A caller that starts first is normal, and so is a name server that takes a second; five are worth a word.
_PATIENCE: Final = 5.0
_PATIENCE_AGAIN: Final = 60.0


class RistSource(Source):
    """One flow, mended and in order."""

    def __init__(self, receiver: RistReceiver) -> None:
        self._receiver = receiver

    async def receive(self) -> Batch:
        """The payloads that are due."""
        return Batch([packet.payload for packet in await self._receiver.receive_packets()])

    async def deliver_to(self, consume: Callable[[Batch], None]) -> None:
        """Call *consume* in the very task that read the packets."""
        await self._receiver.deliver_to(
            lambda packets: consume(Batch([packet.payload for packet in packets]))
        )

    def statistics(self) -> dict[str, Json]:
        """The receiver's counters."""
        return {**self.snapshot().as_dict()}

    def snapshot(self) -> RistReceiverStatistics:
        """The receiver's counters as they are."""
        return self._receiver.statistics()

    async def aclose(self) -> None:
        """Close at once."""
        await self._receiver.aclose()


class RistSink(Sink):
    """One flow to whoever receives it."""

    def __init__(self, sender: RistSender) -> None:
        self._sender = sender

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Send now, if there is a receiver and room."""
        try:
            self._sender.send_packets_nowait(batch.payloads, source_time=batch.source_time)
        except trio.WouldBlock:
            return batch
        return None

    async def send(self, batch: Batch) -> None:
        """Send as soon as there is a receiver and room."""
        await self._sender.send_packets(batch.payloads, source_time=batch.source_time)

    async def wait_ready(self) -> None:
        """Wait until a receiver has answered."""
        await self._sender.wait_connected()

    def statistics(self) -> dict[str, Json]:
        """The sender's counters."""
        return {**self.snapshot().as_dict()}

    def snapshot(self) -> RistSenderStatistics:
        """The sender's counters as they are."""
        return self._sender.statistics()

    async def aclose(self) -> None:
        """Stay until the receiver can no longer ask for repeats, then say goodbye."""
        await self._sender.aclose()


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Receive a flow from or at *url*."""
    return plan_bonded_source([url], settings)


def plan_bonded_source(urls: Sequence[EndpointUrl], settings: InputSettings) -> SourcePlan:
    """Receive one flow over the paths of *urls*."""
    del settings
    for path in urls:
        options_from_url(path, None, {})

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        receiver = await connect_rist_receiver(nursery, _wanted(urls))
        _watch(nursery, urls, receiver, report)
        return RistSource(receiver)

    return SourcePlan(urls[0], open_source, tuple(urls[1:]))


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Send a flow to *url*, or to who calls there."""
    return plan_bonded_sink([url])


def plan_bonded_sink(urls: Sequence[EndpointUrl]) -> SinkPlan:
    """Send one flow over the paths of *urls*."""
    for path in urls:
        options_from_url(path, None, {})

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        sender = await connect_rist_sender(nursery, _wanted(urls))
        _watch(nursery, urls, sender, report)
        return RistSink(sender)

    return SinkPlan(urls[0], open_sink, tuple(urls[1:]))


def _wanted(urls: Sequence[EndpointUrl]) -> str | list[str]:
    revealed = [url.to_string(reveal=True) for url in urls]
    return revealed[0] if len(revealed) == 1 else revealed


def _watch(
    nursery: trio.Nursery, urls: Sequence[EndpointUrl], stream: RistSender | RistReceiver, report: Report
) -> None:
    if urls[0].listen:
        report("listening", f"listening at {stream.local_address}")
    nursery.start_soon(_retell, stream.events(), report)
    nursery.start_soon(_mind_silence, stream, stream.explain_silence, report)


async def _retell(happenings: AsyncGenerator[RistEvent, None], report: Report) -> None:
    async for event in happenings:
        told = _words(event)
        if told is not None:
            name, text, is_bad = told
            report(name, text, level="warning" if is_bad else "info")


async def _mind_silence(
    stream: RistSender | RistReceiver,
    explain: Callable[[float], Silence],
    report: Report,
) -> None:
    """Say what is wrong while nobody answers, and go on trying."""
    started = trio.current_time()
    pause = _PATIENCE
    while True:
        await trio.sleep(pause)
        if stream.is_connected:
            return
        report("no_answer", f"{explain(round(trio.current_time() - started, 1))}; trying on", level="warning")
        pause = _PATIENCE_AGAIN


def _words(event: RistEvent) -> tuple[str, str, bool] | None:
    """A word for programs, a sentence for people, and whether it is bad news."""
    match event:
        case events.PeerConnected():
            return "peer_connected", f"{event.peer} is connected", False
        case events.PeerLost() if event.silent_for:
            return "peer_lost", f"{event.peer} has been silent for {event.silent_for:.1f} s", True
        case events.PeerLost():
            return "peer_lost", f"{event.peer} said goodbye", False
        case events.PeerMoved():
            return "peer_moved", f"{event.was} now sends from {event.peer}", False
        case events.StrangerIgnored():
            return "stranger_ignored", f"{event.stranger} sends here too, and is ignored", True
        case events.PathUp():
            return "path_up", f"path {event.path}, {event.url}, is up", False
        case events.PathDown():
            return "path_down", f"path {event.path}, {event.url}, is down: {event.reason}", True
        case events.PathReweighted():
            text = f"path {event.path} carries {event.part:.0%} of its share, having lost {event.loss:.0%}"
            return "path_reweighted", text, False
        case events.FlowStarted():
            return "flow_started", f"flow {event.flow_id} begins", False
        case events.FlowRestarted():
            return "flow_restarted", f"flow {event.flow_id} follows {event.was}", False
        case events.FlowEnded():
            return "flow_ended", f"flow {event.flow_id} has ended", False
        case events.ClockResynchronised():
            return "clock_resynchronised", f"the source's clock jumped by {event.by:.3f} s", True
        case events.BufferResized():
            return "buffer_resized", f"the recovery buffer is now {event.seconds * 1000:.0f} ms", False
        case events.PeerAuthenticated() if event.again:
            return None
        case events.PeerAuthenticated():
            return "peer_authenticated", f"{event.peer} is logged in as {event.username!r}", False
        case events.AuthenticationRefused():
            name = f" as {event.username!r}" if event.username else ""
            return "authentication_refused", f"{event.peer} is not logged in{name}: {event.reason}", True
        case events.LoginWanted():
            return "login_wanted", f"{event.peer} wants a login, and no username is set", True
        case events.PassphraseWrong():
            return "passphrase_wrong", f"{event.peer} enciphers with another secret", True
        case events.PassphraseMissing():
            return "passphrase_missing", f"{event.peer} enciphers, and no secret is set here", True
        case events.ClearTextRefused():
            return "clear_text_refused", f"{event.peer} speaks in the clear, and is not listened to", True
        case events.KeyRotated():
            return "key_rotated", f"{event.peer} changed its key", False
        case events.PassphraseChanged():
            return "passphrase_changed", "what is sent has another passphrase from now on", False
        case events.ReconnectScheduled() | events.ReconnectGivenUp():
            return reconnection_words(event)
        case events.NetworkTrouble():
            return "network_trouble", event.text, True
    return None
