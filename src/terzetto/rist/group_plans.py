"""Several URLs, one flow: what must agree, and what holds for all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from terzetto.driver.clock import current_micros
from terzetto.errors import InvalidOption
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.settings import Settings
from terzetto.rist.options import RistOptions
from terzetto.rist.plan import Plan

__all__ = ["group_options", "new_inflow", "new_outflow", "split_urls"]


def split_urls(url: str | Sequence[str]) -> list[str]:
    """The paths that are meant: several URLs, or one text with commas between them as libRIST's tools take it."""
    if isinstance(url, str):
        return re.split(r",(?=rist://)", url)
    urls = list(url)
    if not urls:
        raise InvalidOption("there is no URL, and a group has one path at least")
    return urls


def group_options(plans: Sequence[Plan]) -> RistOptions:
    """What holds for the flow: what its first path says, and the longest buffer of all.

    Raises InvalidOption where paths cannot carry one flow.
    """
    first = plans[0].options
    dialect = _dialect(plans[0])
    for plan in plans[1:]:
        if _dialect(plan) != dialect:
            raise InvalidOption(
                f"{plan.url} counts packets or time differently from {plans[0].url}",
                hint="use profiles for all paths that agree, and one rtp-ptype",
            )
        if _agreed(plan.options) != _agreed(first):
            raise InvalidOption(
                f"{plan.url} and {plans[0].url} must agree on one-way, fec, split, merge and reweight"
            )
    return attrs.evolve(
        first,
        buffer_min=max(plan.options.buffer_min for plan in plans),
        buffer_max=max(plan.options.buffer_max for plan in plans),
    )


def _agreed(options: RistOptions) -> tuple[object, ...]:
    return options.one_way, options.fec, options.split, options.merge, options.reweight


def _dialect(plan: Plan) -> tuple[int, int, int]:
    translator: Translator = plan.make_translator(is_media_sender=False)
    return translator.sequence_bits, translator.clock_rate, plan.options.rtp_ptype


def new_outflow(plan: Plan, options: RistOptions, *, is_for_many: bool = False) -> Outflow:
    """A flow to send, of which *plan* is the first path; *is_for_many* where each path has another receiver."""
    bits, rate, _ = _dialect(plan)
    return Outflow(
        Settings.of(options),
        flow_id=plan.choose_flow_id(),
        clock_rate=rate,
        sequence_bits=bits,
        now=current_micros(),
        wall_clock_offset=plan.wall_clock_offset,
        is_for_many=is_for_many,
    )


def new_inflow(plan: Plan, options: RistOptions) -> Inflow:
    """A flow to receive, of which *plan* is the first path."""
    bits, _, _ = _dialect(plan)
    return Inflow(
        Settings.of(options),
        sequence_bits=bits,
        now=current_micros(),
        wall_clock_offset=plan.wall_clock_offset,
    )
