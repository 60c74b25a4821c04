"""Statistics as Prometheus reads them, in the names of libRIST's tools (extra ``metrics``).

One snapshot gives one text, so all of its numbers are of the same moment. Names that libRIST does not have begin
alike and say what our statistics call them. Counters run on, from the beginning of the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from terzetto.errors import MissingExtra
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["CONTENT_TYPE", "Collected", "collected_text", "prometheus_text", "rist_families"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What an HTTP server calls the text."""

_Snapshot: TypeAlias = RistSenderStatistics | RistReceiverStatistics
_Row: TypeAlias = tuple[str, bool, str, float]
"""Name, whether it is a counter, what it means, and its value."""


def prometheus_text(*snapshots: _Snapshot, labels: Mapping[str, str] | None = None) -> bytes:
    """*snapshots* of one moment, with *labels* of your own beside the flow's number and the peer's name.

    Raises `terzetto.errors.MissingExtra` without the extra ``metrics``.
    """
    return collected_text(_Snapshots([(snapshot, labels or {}) for snapshot in snapshots]))


def collected_text(collector: Collected) -> bytes:
    """What *collector* has, as text; raises `terzetto.errors.MissingExtra` without the extra ``metrics``."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError as exc:
        raise MissingExtra(
            "Prometheus text needs a package that is not installed", hint="pip install 'terzetto[metrics]'"
        ) from exc
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


class Collected(Protocol):
    """What can be asked for metrics."""

    def collect(self) -> Iterable[Metric]:
        """All of them, of one moment."""


class _Snapshots:
    """What a registry collects from."""

    def __init__(self, labelled: Sequence[tuple[_Snapshot, Mapping[str, str]]]) -> None:
        self._labelled = labelled

    def collect(self) -> Iterable[Metric]:
        """Each name once, with a line for each snapshot that has it."""
        return rist_families(self._labelled)


def rist_families(labelled: Iterable[tuple[_Snapshot, Mapping[str, str]]]) -> list[Metric]:
    """Snapshots, each with labels of the same names, for a registry that collects other things as well."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for snapshot, given in labelled:
        labels = {**given, "flow_id": str(snapshot.flow_id or 0), "cname": snapshot.peer.cname}
        rows = _sender(snapshot) if isinstance(snapshot, RistSenderStatistics) else _receiver(snapshot)
        for name, is_counter, meaning, value in rows:
            if name not in families:
                kind = CounterMetricFamily if is_counter else GaugeMetricFamily
                families[name] = kind(name, meaning, labels=list(labels))
            families[name].add_metric(list(labels.values()), value)
    return [*families.values()]


def _sender(each: RistSenderStatistics) -> list[_Row]:
    peer = "rist_sender_peer_"
    rows: list[_Row] = [
        (peer + "bandwidth_bps", False, "Media, bits a second.", each.bitrate),
        (peer + "retry_bandwidth_bps", False, "Repeats, bits a second.", each.retry_bitrate),
        (peer + "rtt_seconds", False, "Round trip.", each.peer.round_trip),
        (
            peer + "quality",
            False,
            "Per cent of what was sent that was sent for the first time.",
            each.quality,
        ),
        (peer + "connected", False, "Whether a receiver is there.", float(each.peer.connected)),
        (peer + "sent_packets", True, "Original media packets.", each.sent),
        (peer + "received_packets", True, "Datagrams of feedback.", each.peer.feedback_received),
        (peer + "retransmitted_packets", True, "Repeats.", each.retransmitted),
        (peer + "rescued_packets", True, "Repeats unasked, for a path that fell silent.", each.rescued),
        (peer + "withheld_packets", True, "Payloads dropped, nobody being connected.", each.withheld),
        (peer + "fec_packets", True, "Parities.", each.fec_sent),
    ]
    if each.advised_bitrate is not None:
        rows.append((peer + "advised_bps", False, "What the encoder should send.", each.advised_bitrate))
    return rows


def _receiver(each: RistReceiverStatistics) -> list[_Row]:
    flow = "rist_client_flow_"
    one, two, three, four, more = each.recovered_after
    return [
        (flow + "peers", False, "Senders that are there.", float(each.peer.connected)),
        (flow + "bandwidth_bps", False, "What arrives, bits a second.", each.bitrate),
        (flow + "min_iat_seconds", False, "Shortest time between arrivals.", each.spacing_min),
        (flow + "cur_iat_seconds", False, "Newest time between arrivals.", each.spacing),
        (flow + "max_iat_seconds", False, "Longest time between arrivals.", each.spacing_max),
        (flow + "rtt_seconds", False, "Round trip.", each.peer.round_trip),
        (flow + "quality", False, "Per cent of the packets that are not lost for good.", each.quality),
        (flow + "buffer_seconds", False, "Recovery buffer in force.", each.buffer),
        (flow + "received_packets", True, "Media packets that arrived.", each.received),
        (flow + "delivered_packets", True, "Packets handed out.", each.delivered),
        (flow + "missing_packets", True, "Gaps that were noticed.", each.missing),
        (flow + "reordered_packets", True, "Packets that were only overtaken.", each.reordered),
        (flow + "recovered_packets", True, "Lost on the way, and back in time.", each.recovered),
        (flow + "fec_recovered_packets", True, "Those rebuilt from parities.", each.fec_recovered),
        (flow + "recovered_one_retry_packets", True, "Those back after one request.", one),
        (flow + "recovered_two_nacks_packets", True, "Those back after two requests.", two),
        (flow + "recovered_three_nacks_packets", True, "Those back after three requests.", three),
        (flow + "recovered_four_nacks_packets", True, "Those back after four requests.", four),
        (flow + "recovered_more_nacks_packets", True, "Those back after more requests.", more),
        (flow + "lost_packets", True, "Lost on the way, and given up.", each.unrecovered),
        (flow + "duplicate_packets", True, "Copies of what was there.", each.duplicates),
        (flow + "dropped_late_packets", True, "Packets that came too late.", each.too_late),
        (flow + "dropped_full_packets", True, "Packets that found the buffer full.", each.dropped_full),
        (flow + "shed_packets", True, "Packets that the application was too slow for.", each.shed),
        (flow + "retries", True, "Sequences asked for.", each.requests),
    ]
