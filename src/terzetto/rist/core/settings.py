"""Options in the unit of the cores: microseconds, worked out once."""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.primitives.time import Micros, micros
from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.fec import RistFec
from terzetto.rist.options import CongestionControl, Merge, RistOptions, Split, TimingMode

__all__ = ["Settings"]

# A rebinding costs a NAT's client at least a few lost reports; less silence than that is two processes on one
# host that send to us at the same time, and the first of them keeps the session.
_REBIND_REPORTS: Final = 3


@attrs.frozen(kw_only=True)
class Settings:
    """What sender and receiver need to know of `RistOptions`."""

    buffer_min: Micros
    buffer_max: Micros
    reorder: Micros
    rtt_min: Micros
    rtt_max: Micros
    rtt_multiplier: int
    request_floor: Micros
    min_retries: int
    max_retries: int
    bandwidth: int
    """Bits a second."""
    return_bandwidth: int
    """Bits a second, 0 for no limit."""
    congestion_control: CongestionControl
    timing_mode: TimingMode
    one_way: bool
    fast_start: bool
    cname: str
    session_timeout: Micros
    report_interval: Micros
    rebind_silence: Micros
    missing_limit: int
    recovery_limit: int
    """Packets that are kept for recovery at either end, where sequences have 32 bits."""
    fec: RistFec | None
    delete_null_packets: bool
    adaptation: RistAdaptation | None
    split: Split
    merge: Merge
    payload_type: int
    weight: int
    reweight: bool
    recovery_priority: int
    ahead: Micros
    """How much before its deadline a packet is released: half a tick, so that ticks add nothing to the delay."""

    @classmethod
    def of(cls, options: RistOptions) -> Settings:
        """Work them out."""
        report_interval = micros(options.keepalive_interval)
        # libRIST's ring for 32 bits; for 16 there can be no more than they name.
        depth = 3 if options.recovery_depth is None else options.recovery_depth
        return cls(
            buffer_min=micros(options.buffer_min),
            buffer_max=micros(options.buffer_max),
            reorder=micros(options.reorder_buffer),
            rtt_min=micros(options.rtt_min),
            rtt_max=micros(options.rtt_max),
            rtt_multiplier=options.rtt_multiplier,
            request_floor=micros(options.buffer_min) // options.max_retries,
            min_retries=options.min_retries,
            max_retries=options.max_retries,
            bandwidth=options.bandwidth * 1000,
            return_bandwidth=options.return_bandwidth * 1000,
            congestion_control=options.congestion_control,
            timing_mode=options.timing_mode,
            one_way=options.one_way,
            fast_start=options.fast_start or options.one_way,
            cname=options.cname,
            session_timeout=micros(options.session_timeout),
            report_interval=report_interval,
            rebind_silence=_REBIND_REPORTS * report_interval,
            # As libRIST bounds it: what a buffer's worth of 28-kbit packets would be.
            ahead=micros(options.effective_tick / 2),
            recovery_limit=65_536 << depth,
            # Advanced sums up what is on the wire, which is its translator's own business.
            fec=None if options.profile == "advanced" else options.fec,
            delete_null_packets=options.null_packet_deletion,
            adaptation=options.adaptation,
            split=options.split,
            merge=options.merge,
            payload_type=options.rtp_ptype,
            weight=options.weight,
            reweight=options.reweight,
            recovery_priority=options.recovery_priority,
            missing_limit=max(64, int(options.buffer_max * options.bandwidth / 28)),
        )

    def clamp_round_trip(self, round_trip: Micros) -> Micros:
        """*round_trip* as the schedules may use it."""
        return min(max(round_trip, self.rtt_min), self.rtt_max)

    def request_interval(self, round_trip: Micros) -> Micros:
        """Time between two requests for the same packet.

        All of ``max_retries`` requests must not be spent in the first fraction of the buffer: on short round trips
        the buffer, not the path, sets the pace of asking.
        """
        return max(self.clamp_round_trip(round_trip), self.request_floor) * 11 // 10
