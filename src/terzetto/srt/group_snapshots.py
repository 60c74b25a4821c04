"""From the machines of a group to the statistics that users see."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.primitives.time import Micros, seconds
from terzetto.srt.core.group.group import Group
from terzetto.srt.core.group.links import Link
from terzetto.srt.group_statistics import SrtGroupStatistics, SrtMemberStatistics
from terzetto.srt.snapshots import snapshot

__all__ = ["group_snapshot"]


def group_snapshot(
    group: Group, members: Sequence[tuple[str, Link]], *, began_at: Micros, now: Micros
) -> SrtGroupStatistics:
    """How *group* stands, with the members and what they are called by."""
    return SrtGroupStatistics(
        elapsed=seconds(now - began_at),
        sent=group.sent,
        received=group.reception.delivered,
        unrecovered=group.reception.skipped,
        surplus=group.reception.surplus,
        members=tuple(_member(target, link, now) for target, link in members),
    )


def _member(target: str, link: Link, now: Micros) -> SrtMemberStatistics:
    statistics = snapshot(link.connection, now=now)
    return SrtMemberStatistics(
        target=target,
        peer=link.connection.agreement.peer,
        state=link.state,
        weight=link.weight,
        round_trip=statistics.round_trip,
        stability_timeout=seconds(link.stability_timeout),
        statistics=statistics,
    )
