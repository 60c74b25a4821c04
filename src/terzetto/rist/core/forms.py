"""Runs taken apart by what their datagrams look like."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from terzetto.primitives.datagrams import Buffer, Run

__all__ = ["parted"]


def parted(run: Run, has_form: Callable[[Buffer], bool]) -> list[tuple[bool, Run]]:
    """A run in parts that have that form or not, in order; mostly there is one part."""
    forms = list(map(has_form, run.datagrams))
    if all(forms):
        return [(True, run)]
    if not any(forms):
        return [(False, run)]
    parts = groupby(zip(forms, run.datagrams, strict=True), lambda each: each[0])
    return [(form, run._replace(datagrams=[datagram for _, datagram in each])) for form, each in parts]
