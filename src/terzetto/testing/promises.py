"""How the checks of this package say that something does not keep its promise."""

from __future__ import annotations

__all__ = ["PromiseBroken", "promise"]


class PromiseBroken(AssertionError):
    """A conformance check or an invariant failed; the message names the promise and what happened instead."""


def promise(kept: object, text: str) -> None:
    """Raise `PromiseBroken` with *text* unless *kept*; unlike ``assert`` it works under ``python -O``."""
    if not kept:
        raise PromiseBroken(text)
