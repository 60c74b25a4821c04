"""A route's counters as Prometheus reads them, and the smallest server that gives them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from terzetto.gateway.route import EndpointReport
from terzetto.net.network import current_network
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.rist.prometheus import CONTENT_TYPE, collected_text, rist_families
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["render", "serve_metrics"]

# One collector asks every few seconds; whoever opens more connections than that waits.
_MOST_AT_ONCE: Final = 8
_PATIENCE: Final = 5.0
_LONGEST_REQUEST: Final = 8192


def render(reports: Sequence[EndpointReport]) -> bytes:
    """*reports* of one moment as text; raises `terzetto.errors.MissingExtra` without the extra ``metrics``."""
    return collected_text(_Reports(reports))


class _Reports:
    """What a registry collects from."""

    def __init__(self, reports: Sequence[EndpointReport]) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Metric]:
        """What every end has, then what RIST counted, then the numbers of other protocols."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, UnknownMetricFamily

        names = ["endpoint", "role"]
        relay = "terzetto_relay_"
        packets = CounterMetricFamily(relay + "packets", "Packets that passed.", labels=names)
        octets = CounterMetricFamily(relay + "bytes", "Bytes of their payloads.", labels=names)
        shed = CounterMetricFamily(
            relay + "shed_packets", "Packets an output was too slow for.", labels=names
        )
        queue = GaugeMetricFamily(relay + "queue_packets", "Packets that wait for an output.", labels=names)
        others: dict[str, UnknownMetricFamily] = {}
        rist: list[tuple[RistSenderStatistics | RistReceiverStatistics, dict[str, str]]] = []
        for each in self._reports:
            labels = [each.endpoint, each.role]
            packets.add_metric(labels, each.packets)
            octets.add_metric(labels, each.octets)
            shed.add_metric(labels, each.shed)
            queue.add_metric(labels, each.queue)
            if isinstance(each.snapshot, (RistSenderStatistics, RistReceiverStatistics)):
                rist.append((each.snapshot, dict(zip(names, labels, strict=True))))
                continue
            scheme = each.endpoint.partition(":")[0].replace("-", "stdio")
            for key, value in each.details.items():
                if isinstance(value, (int, float)):
                    name = f"terzetto_{scheme}_{key}"
                    if name not in others:
                        others[name] = UnknownMetricFamily(
                            name, f"{key}, as statistics have it.", labels=names
                        )
                    others[name].add_metric(labels, value)
        return [packets, octets, shed, queue, *rist_families(rist), *others.values()]


async def serve_metrics(
    address: Address,
    text: Callable[[], bytes],
    *,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer ``GET /metrics`` at *address* with *text* of the moment, until cancelled; tells where it listens."""
    listeners = await current_network().open_tcp_listeners(address, StreamOptions(backlog=_MOST_AT_ONCE))
    room = trio.CapacityLimiter(_MOST_AT_ONCE)
    handler = partial(_answer, text, room)
    await trio.serve_listeners(
        handler,
        list(listeners),
        task_status=_Started(task_status, listeners[0].local_address),
    )


class _Started(trio.TaskStatus[object]):
    """Passes on where we listen instead of the listeners."""

    def __init__(self, told: trio.TaskStatus[Address], address: Address) -> None:
        self._told = told
        self._address = address

    def started(self, value: object = None) -> None:
        """Listening."""
        del value
        self._told.started(self._address)


async def _answer(text: Callable[[], bytes], room: trio.CapacityLimiter, stream: ByteStream) -> None:
    """One request, one answer, and the end of the connection."""
    async with stream, room:
        with trio.move_on_after(_PATIENCE):
            try:
                await stream.send_all(_response(await _request(stream), text))
            except trio.BrokenResourceError:
                pass  # it did not want the answer after all


async def _request(stream: ByteStream) -> bytes:
    """The head of a request, or as much of it as one may have."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LONGEST_REQUEST:
        more = await stream.receive_some(_LONGEST_REQUEST)
        if not more:
            break
        head += more
    return head


def _response(request: bytes, text: Callable[[], bytes]) -> bytes:
    method, _, rest = request.partition(b"\r\n")[0].partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if not request.partition(b"\r\n\r\n")[1]:
        status, body = "400 Bad Request", b"not a request\n"
    elif method not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", b"only GET\n"
    elif path != b"/metrics":
        status, body = "404 Not Found", b"see /metrics\n"
    else:
        status, body = "200 OK", text()
    kind = CONTENT_TYPE if status.startswith("200") else "text/plain"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else body)
