"""From a core's counters to the frozen statistics that users see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from terzetto.primitives.time import Micros, seconds
from terzetto.rist.core.counters import AdvancedState, FlowCounters
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import Translator
from terzetto.rist.statistics import (
    RistAdvancedStatistics,
    RistPeerStatistics,
    RistReceiverStatistics,
    RistSenderStatistics,
)
from terzetto.rist.wire.keepalive import Capability

__all__ = ["receiver_statistics", "sender_statistics"]

_ABILITIES: Final = {
    Capability.ADVANCED: "advanced",
    Capability.ADVANCED_COMPRESSION: "compression",
    Capability.ADVANCED_FRAGMENTATION: "fragmentation",
}


class _Leg(Protocol):
    """What is read of a leg."""

    peer: Peer
    translator: Translator
    index: int
    weight: int


def peer_statistics(leg: _Leg) -> RistPeerStatistics:
    """What is known of the peer at the end of one leg."""
    peer, translator = leg.peer, leg.translator
    address = peer.association.any_address()
    counters = peer.counters
    return RistPeerStatistics(
        address="" if address is None else str(address),
        cname=peer.cname,
        connected=peer.is_connected,
        round_trip=seconds(peer.round_trip.smoothed),
        last_round_trip=seconds(peer.round_trip.last),
        round_trip_measured=peer.round_trip.is_measured,
        path=leg.index,
        weight=leg.weight,
        media_received=counters.media_received,
        repeats_received=counters.repeats_received,
        media_sent=counters.media_sent,
        media_bytes_sent=counters.media_bytes_sent,
        repeats_sent=counters.repeats_sent,
        requests=counters.requests,
        feedback_received=counters.feedback_received,
        feedback_sent=counters.feedback_sent,
        strangers_ignored=peer.association.strangers_ignored,
        username=translator.username,
        authenticated=peer.is_connected and translator.is_open,
        encrypted=translator.is_enciphered,
        key_rotations=translator.key_rotations,
        advanced=_advanced(translator.advanced_state),
    )


def _advanced(state: AdvancedState | None) -> RistAdvancedStatistics | None:
    if state is None:
        return None
    counters = state.counters
    return RistAdvancedStatistics(
        active=state.is_active,
        cipher=state.mode.name.lower().replace("_", "-") if state.mode else "",
        peer_can=tuple(name for bit, name in _ABILITIES.items() if bit in state.capabilities),
        quirks=tuple(sorted(map(str, state.quirks))),
        fallbacks=counters.fallbacks,
        compressed=counters.compressed,
        compression_saved=counters.compression_saved,
        decompressed=counters.decompressed,
        fragmented=counters.fragmented,
        fragments_sent=counters.fragments_sent,
        units=counters.units,
        fragments_wasted=counters.fragments_wasted,
        control_sent=counters.control_sent,
        control_received=counters.control_received,
    )


def _paths(legs: Sequence[_Leg]) -> tuple[RistPeerStatistics, ...]:
    return tuple(peer_statistics(leg) for leg in legs)


def _main_peer(paths: Sequence[RistPeerStatistics]) -> RistPeerStatistics:
    """The one to speak of where there is room for one: the nearest that is there."""
    connected = [path for path in paths if path.connected]
    if connected:
        return min(connected, key=lambda path: path.round_trip)
    return paths[0] if paths else RistPeerStatistics()


def _dropped(legs: Sequence[_Leg]) -> Counter[str]:
    dropped = Counter[str]()
    for leg in legs:
        dropped.update(leg.translator.dropped)
    return dropped


def sender_statistics(core: Outflow, *, now: Micros, batches_shed: int) -> RistSenderStatistics:
    """What was done for *core* so far."""
    counters = core.counters
    media, retry = core.rates(now)
    controller = core.rate_controller
    paths = _paths(core.legs)
    parities = [leg.translator.parities_sent for leg in core.legs]
    return RistSenderStatistics(
        flow_id=core.flow_id,
        sent=counters.sent,
        sent_bytes=counters.sent_bytes,
        withheld=counters.withheld,
        retransmitted=counters.retransmitted,
        retransmitted_bytes=counters.retransmitted_bytes,
        rescued=counters.rescued,
        requested=counters.requested,
        over_the_limit=counters.over_the_limit,
        not_found=counters.not_found,
        too_old=counters.too_old,
        exhausted=counters.exhausted,
        suppressed=counters.suppressed,
        bandwidth_skipped=counters.bandwidth_skipped,
        tail_probes=counters.tail_probes,
        fec_sent=counters.fec_sent + sum(packets for packets, _ in parities),
        fec_sent_bytes=counters.fec_sent_bytes + sum(size for _, size in parities),
        bitrate=media,
        retry_bitrate=retry,
        advised_bitrate=None if controller is None else controller.rate,
        link_quality=None if controller is None else controller.last,
        history=len(core.history),
        dropped=dict(_dropped(core.legs)),
        batches_shed=batches_shed,
        peer=_main_peer(paths),
        paths=paths,
    )


def receiver_statistics(core: Inflow, *, now: Micros, shed: int) -> RistReceiverStatistics:
    """What was seen of *core* so far."""
    flow = core.flow
    paths = _paths(core.legs)
    counters = flow.counters if flow is not None else FlowCounters()
    one, two, three, four, more = counters.recovered_after
    fecs = [fec for fec in (core.fec, *(leg.translator.fec_receiver for leg in core.legs)) if fec is not None]
    return RistReceiverStatistics(
        flow_id=flow.flow_id if flow is not None else None,
        received=counters.received,
        received_bytes=counters.received_bytes,
        received_retransmissions=counters.received_retransmissions,
        delivered=counters.delivered,
        lost=counters.lost,
        recovered=counters.recovered,
        fec_recovered=counters.fec_recovered,
        fec_received=sum(fec.received for fec in fecs),
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
        dropped=dict(sum((fec.dropped for fec in fecs), _dropped(core.legs))),
        peer=_main_peer(paths),
        paths=paths,
    )
