"""What a connection has counted, in our words and in libsrt's.

Three words, never mixed: what was *lost* on the way was either *recovered* in time or is *unrecovered*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

__all__ = ["CSV_COLUMNS", "SrtStatistics"]

# Figures of the moment: they do not add up over time.
_MOMENTARY: Final = {"gauge": True}


def _gauge(default: Any) -> Any:
    return attrs.field(default=default, metadata=_MOMENTARY)


@attrs.frozen(kw_only=True)
class SrtStatistics:
    """A snapshot. Counters run since the connection began; `since` gives those of an interval.

    Bytes include 44 of headers per packet, as libsrt counts them; durations are seconds.
    """

    elapsed: float
    """Since the connection was established, or the length of the interval."""

    sent: int = 0
    """Packets that left, repeats included."""
    sent_unique: int = 0
    retransmitted: int = 0
    reported_lost: int = 0
    """Packets that the peer said it missed, again each time it said so."""
    dropped_by_sender: int = 0
    """Packets given up before they were acknowledged, because they would have come too late."""
    bytes_sent: int = 0
    bytes_sent_unique: int = 0
    bytes_retransmitted: int = 0
    bytes_dropped_by_sender: int = 0
    sending_time: float = 0.0
    """How long something waited to be acknowledged."""

    received: int = 0
    received_unique: int = 0
    retransmissions_received: int = 0
    lost: int = 0
    """Packets that did not come at first, and whose fate is known."""
    recovered: int = 0
    unrecovered: int = 0
    missing: int = _gauge(0)
    """Packets that are being waited for now."""
    undecrypted: int = 0
    belated: int = 0
    """Packets that came after their time."""
    belated_time: float = 0.0
    """The sum of how late those were."""
    duplicates: int = 0
    no_room: int = 0
    """Packets that came when the receive buffer was full."""
    bytes_received: int = 0
    bytes_received_unique: int = 0
    bytes_undecrypted: int = 0

    acks_sent: int = 0
    acks_received: int = 0
    naks_sent: int = 0
    naks_received: int = 0
    drop_requests_sent: int = 0
    drop_requests_received: int = 0
    filter_sent: int = 0
    """Parities that the packet filter sent; they count nowhere else."""
    filter_received: int = 0
    filter_recovered: int = 0
    """Packets that the packet filter rebuilt, some of which came by themselves as well."""
    filter_unrecovered: int = 0
    """Lost packets that the packet filter gave up; repeats may still have brought them."""
    malformed: Mapping[str, int] = attrs.field(factory=dict)
    """Datagrams that were dropped, by reason."""

    round_trip: float = _gauge(0.0)
    round_trip_variance: float = _gauge(0.0)
    link_capacity: int = _gauge(0)
    """Packets per second that the path carries: what the peer tells whom it acknowledges, else what probes tell us.

    Packets that one read brings together cannot be told apart, so this is mostly the rate at which they come.
    """
    send_period: float = _gauge(0.0)
    """The pace: time between packets."""
    max_bandwidth: int = _gauge(0)
    """The limit in force, bytes per second."""
    flow_window: int = _gauge(0)
    """Packets that the peer has room for."""
    congestion_window: int = _gauge(0)
    """Packets that the congestion controller wants in flight at most."""
    flight_size: int = _gauge(0)
    mss: int = _gauge(1500)
    send_buffer_packets: int = _gauge(0)
    send_buffer_bytes: int = _gauge(0)
    send_buffer_time: float = _gauge(0.0)
    send_buffer_free: int = _gauge(0)
    """Packets that still fit."""
    receive_buffer_packets: int = _gauge(0)
    receive_buffer_bytes: int = _gauge(0)
    receive_buffer_time: float = _gauge(0.0)
    receive_buffer_free: int = _gauge(0)
    send_latency: float = _gauge(0.0)
    """How long the peer holds what we send."""
    receive_latency: float = _gauge(0.0)
    reorder_tolerance: int = _gauge(0)
    reorder_distance: int = _gauge(0)
    clock_drift: float = _gauge(0.0)

    def since(self, earlier: SrtStatistics) -> SrtStatistics:
        """The interval between an earlier snapshot and this one; figures of the moment are this one's."""
        changes: dict[str, Any] = {}
        for field in attrs.fields(SrtStatistics):
            if field.name == "malformed":
                changes["malformed"] = {
                    reason: count - earlier.malformed.get(reason, 0)
                    for reason, count in self.malformed.items()
                    if count != earlier.malformed.get(reason, 0)
                }
            elif not field.metadata.get("gauge"):
                changes[field.name] = getattr(self, field.name) - getattr(earlier, field.name)
        return attrs.evolve(self, **changes)

    def to_libsrt(self, *, since: SrtStatistics | None = None) -> dict[str, float]:
        """The same figures under the names and in the units of libsrt's statistics structure.

        Plain names tell of the interval that began with the snapshot *since*, or of the whole where it is None; the
        names that end in ``Total`` always tell of the whole.
        """
        named = whole = self._to_libsrt()
        if since is not None:
            earlier = since._to_libsrt()
            named = {**self.since(since)._to_libsrt(), "msTimeStamp": whole["msTimeStamp"]}
            # A packet that is still missed was lost in the interval in which that was noticed, and in no later one.
            named["pktRcvLoss"] = whole["pktRcvLoss"] - earlier["pktRcvLoss"]
            named["byteRcvLoss"] = max(0, whole["byteRcvLoss"] - earlier["byteRcvLoss"])
        return {**named, **{f"{name}Total": whole[name] for name in WITH_TOTALS}}

    def _to_libsrt(self) -> dict[str, float]:
        seconds = self.elapsed or 1e-9
        average = self.bytes_received_unique / self.received_unique if self.received_unique else 1360
        return {
            "msTimeStamp": round(self.elapsed * 1e3),
            "pktFlowWindow": self.flow_window,
            "pktCongestionWindow": self.congestion_window,
            "pktFlightSize": self.flight_size,
            "msRTT": self.round_trip * 1e3,
            "mbpsBandwidth": self.link_capacity * self.mss * 8 / 1e6,
            "mbpsMaxBW": self.max_bandwidth * 8 / 1e6,
            "byteMSS": self.mss,
            "pktSent": self.sent,
            "pktSentUnique": self.sent_unique,
            "pktSndLoss": self.reported_lost,
            "pktSndDrop": self.dropped_by_sender,
            "pktRetrans": self.retransmitted,
            "pktSndFilterExtra": self.filter_sent,
            "byteSent": self.bytes_sent,
            "byteSentUnique": self.bytes_sent_unique,
            "byteRetrans": self.bytes_retransmitted,
            "byteSndDrop": self.bytes_dropped_by_sender,
            "byteAvailSndBuf": self.send_buffer_free * self.mss,
            "pktSndBuf": self.send_buffer_packets,
            "byteSndBuf": self.send_buffer_bytes,
            "msSndBuf": round(self.send_buffer_time * 1e3),
            "msSndTsbPdDelay": round(self.send_latency * 1e3),
            "usSndDuration": round(self.sending_time * 1e6),
            "mbpsSendRate": self.bytes_sent * 8 / 1e6 / seconds,
            "usPktSndPeriod": self.send_period * 1e6,
            "pktRecv": self.received,
            "pktRecvUnique": self.received_unique,
            "pktRcvLoss": self.recovered + self.unrecovered + self.missing,
            "pktRcvDrop": self.unrecovered + self.undecrypted,
            "pktRcvRetrans": self.retransmissions_received,
            "pktRcvBelated": self.belated,
            "pktRcvAvgBelatedTime": self.belated_time * 1e3 / self.belated if self.belated else 0.0,
            "pktRcvUndecrypt": self.undecrypted,
            "pktRcvFilterExtra": self.filter_received,
            "pktRcvFilterSupply": self.filter_recovered,
            "pktRcvFilterLoss": self.filter_unrecovered,
            "pktReorderDistance": self.reorder_distance,
            "pktReorderTolerance": self.reorder_tolerance,
            "byteRecv": self.bytes_received,
            "byteRecvUnique": self.bytes_received_unique,
            "byteRcvLoss": round((self.lost + self.missing) * average),
            "byteRcvDrop": round((self.unrecovered + self.undecrypted) * average),
            "byteRcvUndecrypt": self.bytes_undecrypted,
            "byteAvailRcvBuf": self.receive_buffer_free * self.mss,
            "pktRcvBuf": self.receive_buffer_packets,
            "byteRcvBuf": self.receive_buffer_bytes,
            "msRcvBuf": round(self.receive_buffer_time * 1e3),
            "msRcvTsbPdDelay": round(self.receive_latency * 1e3),
            "mbpsRecvRate": self.bytes_received * 8 / 1e6 / seconds,
            "pktSentACK": self.acks_sent,
            "pktRecvACK": self.acks_received,
            "pktSentNAK": self.naks_sent,
            "pktRecvNAK": self.naks_received,
        }

    def to_json(
        self, *, socket_id: int, timepoint: str, since: SrtStatistics | None = None
    ) -> dict[str, Any]:
        """The object that srt-live-transmit prints with ``-pf json``, with *since* as in `to_libsrt`."""
        named = self.to_libsrt(since=since)

        def pick(**keys: str) -> dict[str, float]:
            return {key: named[name] for key, name in keys.items()}

        return {
            "sid": socket_id,
            "timepoint": timepoint,
            "time": named["msTimeStamp"],
            "window": pick(flow="pktFlowWindow", congestion="pktCongestionWindow", flight="pktFlightSize"),
            "link": pick(rtt="msRTT", bandwidth="mbpsBandwidth", maxBandwidth="mbpsMaxBW"),
            "send": pick(
                packets="pktSent",
                packetsUnique="pktSentUnique",
                packetsLost="pktSndLoss",
                packetsDropped="pktSndDrop",
                packetsRetransmitted="pktRetrans",
                packetsFilterExtra="pktSndFilterExtra",
                bytes="byteSent",
                bytesUnique="byteSentUnique",
                bytesDropped="byteSndDrop",
                byteAvailBuf="byteAvailSndBuf",
                msBuf="msSndBuf",
                mbitRate="mbpsSendRate",
                sendPeriod="usPktSndPeriod",
            ),
            "recv": pick(
                packets="pktRecv",
                packetsUnique="pktRecvUnique",
                packetsLost="pktRcvLoss",
                packetsDropped="pktRcvDrop",
                packetsRetransmitted="pktRcvRetrans",
                packetsBelated="pktRcvBelated",
                packetsFilterExtra="pktRcvFilterExtra",
                packetsFilterSupply="pktRcvFilterSupply",
                packetsFilterLoss="pktRcvFilterLoss",
                bytes="byteRecv",
                bytesUnique="byteRecvUnique",
                bytesLost="byteRcvLoss",
                bytesDropped="byteRcvDrop",
                byteAvailBuf="byteAvailRcvBuf",
                msBuf="msRcvBuf",
                mbitRate="mbpsRecvRate",
                msTsbPdDelay="msRcvTsbPdDelay",
            ),
        }

    def to_csv(self, *, socket_id: int, timepoint: str, since: SrtStatistics | None = None) -> str:
        """The line that srt-live-transmit prints with ``-pf csv``, under `CSV_COLUMNS`; *since* as in `to_libsrt`."""
        named = self.to_libsrt(since=since)
        cells = [timepoint, str(named["msTimeStamp"]), str(socket_id)]
        cells += [
            f"{named[column]:g}" if isinstance(named[column], float) else str(named[column])
            for column in _NAMED
        ]
        return ",".join(cells)


WITH_TOTALS: Final = (
    "pktSent",
    "pktSentUnique",
    "pktSndLoss",
    "pktSndDrop",
    "pktRetrans",
    "pktSndFilterExtra",
    "byteSent",
    "byteSentUnique",
    "byteRetrans",
    "byteSndDrop",
    "usSndDuration",
    "pktRecv",
    "pktRecvUnique",
    "pktRcvLoss",
    "pktRcvDrop",
    "pktRcvRetrans",
    "pktRcvUndecrypt",
    "pktRcvFilterExtra",
    "pktRcvFilterSupply",
    "pktRcvFilterLoss",
    "byteRecv",
    "byteRecvUnique",
    "byteRcvLoss",
    "byteRcvDrop",
    "byteRcvUndecrypt",
    "pktSentACK",
    "pktRecvACK",
    "pktSentNAK",
    "pktRecvNAK",
)

_NAMED: Final = (
    "pktFlowWindow",
    "pktCongestionWindow",
    "pktFlightSize",
    "msRTT",
    "mbpsBandwidth",
    "mbpsMaxBW",
    "pktSent",
    "pktSentUnique",
    "pktSndLoss",
    "pktSndDrop",
    "pktRetrans",
    "pktSndFilterExtra",
    "byteSent",
    "byteSentUnique",
    "byteSndDrop",
    "byteAvailSndBuf",
    "msSndBuf",
    "mbpsSendRate",
    "usPktSndPeriod",
    "pktRecv",
    "pktRecvUnique",
    "pktRcvLoss",
    "pktRcvDrop",
    "pktRcvRetrans",
    "pktRcvBelated",
    "pktRcvFilterExtra",
    "pktRcvFilterSupply",
    "pktRcvFilterLoss",
    "byteRecv",
    "byteRecvUnique",
    "byteRcvLoss",
    "byteRcvDrop",
    "byteAvailRcvBuf",
    "msRcvBuf",
    "mbpsRecvRate",
    "msRcvTsbPdDelay",
)

CSV_COLUMNS: Final = ("Timepoint", "Time", "SocketID", *_NAMED)
"""The head of srt-live-transmit's table."""
