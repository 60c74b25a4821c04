"""From a core's counters to the frozen statistics that users see."""

from __future__ import annotations

from terzetto.primitives.time import Micros, seconds
from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.statistics import RistPeerStatistics, RistReceiverStatistics, RistSenderStatistics

__all__ = ["receiver_statistics", "sender_statistics"]


def peer_statistics(peer: Peer, translator: Translator) -> RistPeerStatistics:
    """What is known of one peer."""
    address = peer.association.any_address()
    counters = peer.counters
    return RistPeerStatistics(
        address="" if address is None else str(address),
        cname=peer.cname,
        connected=peer.is_connected,
        round_trip=seconds(peer.round_trip.smoothed),
        last_round_trip=seconds(peer.round_trip.last),
        round_trip_measured=peer.round_trip.is_measured,
        media_received=counters.media_received,
        feedback_received=counters.feedback_received,
        feedback_sent=counters.feedback_sent,
        strangers_ignored=peer.association.strangers_ignored,
        username=translator.username,
        authenticated=peer.is_connected and translator.is_open,
        encrypted=translator.is_enciphered,
        key_rotations=translator.key_rotations,
    )


def sender_statistics(core: Sender, *, now: Micros, batches_shed: int) -> RistSenderStatistics:
    """What *core* has done so far."""
    counters = core.counters
    media, retry = core.outflow.rates(now)
    controller = core.outflow.rate_controller
    return RistSenderStatistics(
        flow_id=core.flow_id,
        sent=counters.sent,
        sent_bytes=counters.sent_bytes,
        withheld=counters.withheld,
        retransmitted=counters.retransmitted,
        retransmitted_bytes=counters.retransmitted_bytes,
        requested=counters.requested,
        over_the_limit=counters.over_the_limit,
        not_found=counters.not_found,
        too_old=counters.too_old,
        exhausted=counters.exhausted,
        suppressed=counters.suppressed,
        bandwidth_skipped=counters.bandwidth_skipped,
        tail_probes=counters.tail_probes,
        fec_sent=counters.fec_sent,
        fec_sent_bytes=counters.fec_sent_bytes,
        bitrate=media,
        retry_bitrate=retry,
        advised_bitrate=None if controller is None else controller.rate,
        link_quality=None if controller is None else controller.last,
        history=len(core.history),
        dropped=dict(core.translator.dropped),
        batches_shed=batches_shed,
        peer=peer_statistics(core.peer, core.translator),
    )


def receiver_statistics(core: Receiver, *, now: Micros, shed: int) -> RistReceiverStatistics:
    """What *core* has seen so far."""
    flow = core.flow
    counters = flow.counters if flow is not None else FlowCounters()
    one, two, three, four, more = counters.recovered_after
    return RistReceiverStatistics(
        flow_id=flow.flow_id if flow is not None else None,
        received=counters.received,
        received_bytes=counters.received_bytes,
        received_retransmissions=counters.received_retransmissions,
        delivered=counters.delivered,
        lost=counters.lost,
        recovered=counters.recovered,
        fec_recovered=counters.fec_recovered,
        fec_received=core.fec.received if core.fec is not None else 0,
        recovered_after=(one, two, three, four, more),
        unrecovered=counters.unrecovered,
        reordered=counters.reordered,
        duplicates=counters.duplicates,
        too_late=counters.too_late,
        dropped_full=counters.dropped_full,
        missing=counters.missing,
        missing_now=flow.missing_now if flow is not None else 0,
        missing_limit=flow.missing_limit if flow is not None else 0,
        missing_high_water=flow.missing_high_water if flow is not None else 0,
        requests=counters.requests,
        resets=counters.resets,
        clock_resyncs=counters.clock_resyncs,
        buffer=seconds(flow.buffer) if flow is not None else 0.0,
        buffer_time=seconds(counters.buffer_time),
        waiting=flow.waiting if flow is not None else 0,
        spacing_min=seconds(counters.spacing_min or 0),
        spacing=seconds(counters.spacing),
        spacing_max=seconds(counters.spacing_max),
        bitrate=counters.bitrate(now),
        shed=shed,
        dropped={**core.translator.dropped, **(core.fec.dropped if core.fec is not None else {})},
        peer=peer_statistics(core.peer, core.translator),
    )
