"""Quantities and link conditions as people type them: "5%", "40ms", "2Mbit", "64kB".

One place for command lines and configuration files. Every function raises ValueError with a sentence that shows
what was typed and what would do.
"""

from __future__ import annotations

import re
from typing import Final

from terzetto.primitives.impairment.conditions import LinkConditions
from terzetto.primitives.impairment.loss import BurstLoss, LossModel

__all__ = ["parse_burst", "parse_conditions", "parse_duration", "parse_rate", "parse_share", "parse_size"]

_QUANTITY: Final = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµ%/]*)\s*")

_SECONDS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0}
_BITS: Final = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "bps": 1.0, "kbps": 1e3, "mbps": 1e6}
_BITS_SHORT: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "bit/s": 1.0, "kbit/s": 1e3, "mbit/s": 1e6}
_BYTES: Final = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 10**6, "mb": 10**6, "mib": 1 << 20}


def parse_share(text: str) -> float:
    """``5%`` or ``0.05``: a probability, 0 to 1."""
    number, unit = _split(text, "a share such as 5% or 0.05")
    if unit not in ("", "%"):
        raise ValueError(f"{text!r} is not a share such as 5% or 0.05")
    share = number / 100 if unit else number
    if share > 1:
        raise ValueError(f"{text!r} is more than everything; 5% is 0.05")
    return share


def parse_duration(text: str) -> float:
    """``40ms``, ``1.5s``, ``500us`` or ``2min``: seconds. Only 0 needs no unit."""
    number, unit = _split(text, "a duration such as 40ms or 1.5s")
    if not unit and number == 0:
        return 0.0
    if unit not in _SECONDS:
        raise ValueError(f"{text!r} is not a duration: write the unit, as in 40ms or 1.5s")
    return number * _SECONDS[unit]


def parse_rate(text: str) -> float:
    """``10Mbit``, ``800k`` or ``2.5Mbit/s``: bits per second."""
    number, unit = _split(text, "a rate such as 10Mbit")
    factor = (_BITS | _BITS_SHORT).get(unit.lower())
    if factor is None or number <= 0:
        raise ValueError(f"{text!r} is not a rate such as 10Mbit or 800kbit")
    return number * factor


def parse_size(text: str) -> int:
    """``64kB``, ``1MiB`` or ``1500``: bytes."""
    number, unit = _split(text, "a size such as 64kB")
    factor = _BYTES.get(unit.lower())
    if factor is None or number <= 0:
        raise ValueError(f"{text!r} is not a size such as 64kB or 1500")
    return round(number * factor)


def parse_burst(text: str) -> BurstLoss:
    """``5%x8``: 5% lost overall, in bursts of 8 on average; or ``1%:30%[:BAD[:GOOD]]``.

    The second spelling is Gilbert and Elliott's own: the probabilities of turning bad and of turning good again
    before each datagram, and the losses in the bad and in the good state.
    """
    if "x" in text:
        loss, _, burst = text.partition("x")
        number, unit = _split(burst, "a mean length of bursts, as in 5%x8")
        if unit:
            raise ValueError(f"{text!r} is not a burst loss such as 5%x8")
        return BurstLoss.with_mean(parse_share(loss), number)
    parts = [parse_share(part) for part in text.split(":")]
    if not 2 <= len(parts) <= 4:
        raise ValueError(
            f"{text!r} is not a burst loss: write 5%x8 (share, mean length) or 1%:30% (enter, leave)"
        )
    return BurstLoss(*parts)


def parse_conditions(
    *,
    loss: str | None = None,
    burst: str | None = None,
    delay: str | None = None,
    jitter: str | None = None,
    reorder: str | None = None,
    reorder_by: str | None = None,
    duplicate: str | None = None,
    corrupt: str | None = None,
    rate: str | None = None,
    queue: str | None = None,
    mtu: str | None = None,
) -> LinkConditions:
    """The conditions that these options of a command line describe.

    ``queue`` may be a size or, given a ``rate``, the duration it takes to empty.
    """
    lost = parse_share(loss) if loss else 0.0
    models: list[LossModel] = list(LinkConditions(loss=lost).loss)
    if burst:
        models.append(parse_burst(burst))
    bits = parse_rate(rate) if rate else None
    return LinkConditions(
        loss=models,
        delay=parse_duration(delay) if delay else 0.0,
        jitter=parse_duration(jitter) if jitter else 0.0,
        reorder=parse_share(reorder) if reorder else 0.0,
        reorder_by=parse_duration(reorder_by) if reorder_by else 0.01,
        duplicate=parse_share(duplicate) if duplicate else 0.0,
        corrupt=parse_share(corrupt) if corrupt else 0.0,
        rate=bits,
        queue=_queue(queue, bits) if queue else None,
        mtu=parse_size(mtu) if mtu else None,
    )


def _queue(text: str, rate: float | None) -> int:
    if rate is None:
        raise ValueError(f"a queue of {text} needs a rate: without one nothing ever waits")
    _number, unit = _split(text, "a queue such as 64kB or 200ms")
    if unit in _SECONDS and unit != "m":
        return max(round(parse_duration(text) * rate / 8), 1)
    return parse_size(text)


def _split(text: str, wanted: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {wanted}")
    return float(match[1]), match[2]
