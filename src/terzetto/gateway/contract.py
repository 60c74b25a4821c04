"""What a source and a sink are, whatever protocol is behind them.

Packets move in batches, because hand-overs and not bytes are what costs. A *plan* is a source or sink that has
been understood (its URL is right, its options are possible) but not opened, so that mistakes of the caller show
before anything has started.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import attrs
import trio

from terzetto.primitives.datagrams import Buffer
from terzetto.url import EndpointUrl

if TYPE_CHECKING:
    from terzetto.rtsp.events import RtspPacket
    from terzetto.rtsp.wire.description import Description

__all__ = [
    "NOTHING",
    "Batch",
    "InputSettings",
    "Json",
    "Level",
    "Plan",
    "Report",
    "RtpRun",
    "Sink",
    "SinkPlan",
    "Source",
    "SourcePlan",
]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Level: TypeAlias = Literal["info", "warning"]


class RtpRun(NamedTuple):
    """The RTP packets in which the payloads of a batch came, one for each, and what they are packets of.

    An output that speaks RTP itself sends these as they are, whatever their format; to all others the payloads are
    bytes, which makes sense only where they are an MPEG transport stream.
    """

    description: Description
    packets: Sequence[RtspPacket]
    is_transport_stream: bool


class Batch(NamedTuple):
    """Payloads that arrived together and leave together, oldest first."""

    payloads: Sequence[Buffer]
    source_time: float | None = None
    """The moment of the first payload on trio's clock, where the source knows better than "now"."""
    rtp: RtpRun | None = None
    """The same as RTP, where it came so and the formats are known."""


class Report(Protocol):
    """Takes what a user should know of one endpoint: a word for programs, a sentence for people."""

    def __call__(self, event: str, text: str, *, level: Level = "info") -> None:
        """Tell it; never waits."""


class Source(trio.abc.AsyncResource):
    """Gives packets. One task reads it."""

    is_patient: ClassVar[bool] = False
    """Nothing is lost while nobody reads, as with a file; so the first read may wait for outputs to be ready."""
    silence_hint: ClassVar[str] = ""
    """What to try when nothing arrives; empty where the source says so itself."""

    @property
    def is_bulk(self) -> bool:
        """Whether it gives as fast as it is read, so that somebody has to hold it back."""
        return False

    @abstractmethod
    async def receive(self) -> Batch | None:
        """Wait for packets, at least one; None is the end. Cancelled, it has taken nothing that matters."""

    async def deliver_to(self, consume: Callable[[Batch], None]) -> None:
        """Call *consume*, which neither waits nor raises, with all there is, until the end.

        A source that can do so without handing over from task to task does it in its own way.
        """
        while True:
            batch = await self.receive()
            if batch is None:
                return
            consume(batch)

    def statistics(self) -> Mapping[str, Json]:
        """What the protocol counted, in the words of its own statistics."""
        return {}

    def snapshot(self) -> object | None:
        """The same as the protocol's own frozen value, where others make something of it."""
        return None


class Sink(trio.abc.AsyncResource):
    """Takes packets. ``aclose`` returns when what was taken has arrived, as far as the protocol can tell."""

    backlog_seconds: ClassVar[float] = 0.5
    """How old a packet may become while it waits to be taken: live media that comes late is of no use."""
    gather_seconds: ClassVar[float] = 0.0
    """How long to collect packets between two calls of `send`, where each call is dear."""

    @abstractmethod
    def send_nowait(self, batch: Batch) -> Batch | None:
        """Take what can be taken at once; return the rest, None where nothing is left."""

    @abstractmethod
    async def send(self, batch: Batch) -> None:
        """Take all of it, waiting where needed."""

    async def wait_ready(self) -> None:
        """Wait until what is sent reaches somebody."""
        await trio.lowlevel.checkpoint()

    def statistics(self) -> Mapping[str, Json]:
        """What the protocol counted, in the words of its own statistics."""
        return {}

    def snapshot(self) -> object | None:
        """The same as the protocol's own frozen value, where others make something of it."""
        return None


ResourceT = TypeVar("ResourceT", bound=trio.abc.AsyncResource)


@attrs.frozen
class Plan(Generic[ResourceT]):
    """A source or sink to be opened, perhaps more than once: its tasks live in the nursery it is given."""

    url: EndpointUrl
    open: Callable[[trio.Nursery, Report], Awaitable[ResourceT]] = attrs.field(repr=False)
    also: tuple[EndpointUrl, ...] = ()
    """The other paths of the same stream."""
    takes_rtp: bool = attrs.field(default=False, kw_only=True)
    """Of a sink: whether it sends `Batch.rtp` on, so that formats need not be transport streams."""

    @property
    def name(self) -> str:
        """The URL, or all of them, without secrets."""
        return ",".join(map(str, (self.url, *self.also)))


SourcePlan: TypeAlias = Plan[Source]
SinkPlan: TypeAlias = Plan[Sink]


@attrs.frozen(kw_only=True)
class InputSettings:
    """How to read an input that has no clock of its own."""

    bitrate: int | None = None
    """Bits a second, for files that are no MPEG-TS (and instead of the clock of those that are)."""
    pace: bool | None = None
    """Whether to read at the pace of the programme's clock; None paces files and lets pipes run."""


NOTHING: Final = Batch(())
