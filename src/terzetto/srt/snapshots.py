"""From a connection's counters to the statistics that users see."""

from __future__ import annotations

from terzetto.primitives.time import Micros, seconds
from terzetto.srt.core.connection import Connection
from terzetto.srt.options import PER_PACKET_OVERHEAD
from terzetto.srt.statistics import SrtStatistics

__all__ = ["snapshot"]


def snapshot(connection: Connection, *, now: Micros) -> SrtStatistics:
    """How *connection* stands."""
    c = connection.counters
    sender, receiver = connection.sender, connection.receiver
    sending, receiving = sender.buffer, receiver.buffer
    line = receiving.line
    return SrtStatistics(
        elapsed=seconds(now - connection.established_at),
        sent=c.sent,
        sent_unique=c.sent_unique,
        retransmitted=c.retransmitted,
        reported_lost=c.lost_reported_by_peer,
        dropped_by_sender=c.dropped_by_sender,
        bytes_sent=c.bytes_sent,
        bytes_sent_unique=c.bytes_sent_unique,
        bytes_retransmitted=c.bytes_retransmitted,
        bytes_dropped_by_sender=c.bytes_dropped_by_sender,
        sending_time=seconds(c.sending_micros),
        received=c.received,
        received_unique=c.received_unique,
        retransmissions_received=c.retransmissions_received,
        lost=c.recovered + c.skipped,
        recovered=c.recovered,
        unrecovered=c.skipped,
        missing=receiver.missing,
        undecrypted=c.undecrypted,
        belated=c.belated,
        belated_time=seconds(c.belated_time),
        duplicates=c.duplicates,
        no_room=c.no_room,
        bytes_received=c.bytes_received,
        bytes_received_unique=c.bytes_received_unique,
        bytes_undecrypted=c.bytes_undecrypted,
        acks_sent=c.acks_sent,
        acks_received=c.acks_received,
        naks_sent=c.naks_sent,
        naks_received=c.naks_received,
        drop_requests_sent=c.drop_requests_sent,
        drop_requests_received=c.drop_requests_received,
        filter_sent=c.filter_sent,
        filter_received=c.filter_received,
        filter_recovered=c.filter_rebuilt,
        filter_unrecovered=c.filter_lost,
        malformed=dict(c.malformed),
        round_trip=seconds(connection.round_trip.smoothed),
        round_trip_variance=seconds(connection.round_trip.variance),
        link_capacity=sender.path_capacity
        or max(receiver.capacity.estimate, receiver.rate.per_second(now=now)[0]),
        send_period=sender.controller.period / 1e6,
        max_bandwidth=sender.controller.bandwidth,
        flow_window=sender.flow_window,
        congestion_window=int(min(sender.controller.window, connection.agreement.flow_window)),
        flight_size=sending.in_flight,
        mss=connection.agreement.mss,
        send_buffer_packets=len(sending.packets),
        send_buffer_bytes=sum(map(len, sending.packets)) + 28 * len(sending.packets),
        send_buffer_time=_span(sending.oldest, sending.newest),
        send_buffer_free=sending.room,
        receive_buffer_packets=len(line),
        receive_buffer_bytes=sum(len(entry[3]) for entry in line) + PER_PACKET_OVERHEAD * len(line),
        receive_buffer_time=_span(line[0][0], line[-1][0]) if line else 0.0,
        receive_buffer_free=receiving.room,
        send_latency=seconds(connection.agreement.peer_delay),
        receive_latency=seconds(connection.agreement.receive_delay),
        reorder_tolerance=receiver.tolerance.tolerance,
        reorder_distance=c.reorder_distance,
        clock_drift=seconds(receiver.clock.drift),
    )


def _span(first: Micros | None, last: Micros | None) -> float:
    return 0.0 if first is None or last is None else seconds(last - first)
