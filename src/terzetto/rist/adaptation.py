"""How a sender's bit rate follows its link: what a receiver reports, and how a sender makes advice of it.

Written as ``floor:1000,ceiling:12000,start:4000``, rates in kbit/s as everywhere in RIST's URLs.
"""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.errors import InvalidOption

__all__ = ["RistAdaptation"]

# For each word its field, and what one of it is in the field's unit.
_WORDS: Final[dict[str, tuple[str, float]]] = {
    "floor": ("floor", 1000),
    "ceiling": ("ceiling", 1000),
    "start": ("start", 1000),
    "target-loss": ("target_loss", 1),
    "period": ("period", 0.001),
    "settle": ("settle", 1),
}

_HIGHEST: Final = 100_000_000_000


@attrs.frozen(kw_only=True)
class RistAdaptation:
    """Source adaptation by TR-06-4 part 1: set it at both ends.

    A receiver needs only the period: it sends a link quality message at the end of each. A sender answers each with
    the rate that its encoder should have: a hundredth of the ceiling more while the link holds, a good part less
    as soon as it does not.
    """

    floor: int = 500_000
    """Bits a second that are always advised at least."""
    ceiling: int = 100_000_000
    """Bits a second that are advised at most: what the encoder can do. A hundredth of it is the step upwards."""
    start: int | None = None
    """Bits a second to begin with; None is the ceiling."""
    target_loss: float = 0.005
    """The share of packets that may be lost on the way, and repaired, without being a sign of a full link."""
    period: float = 1.0
    """Seconds between two reports of a receiver."""
    settle: int = 1
    """Reports to pass over after a cut: they still tell of media that was sent before it."""

    def __attrs_post_init__(self) -> None:
        for name, value in (("floor", self.floor), ("ceiling", self.ceiling), ("start", self.begin)):
            if not 1 <= value <= _HIGHEST:
                raise InvalidOption(
                    f"adaptation {name} is {value}, must lie between 1 and {_HIGHEST:g} bits a second"
                )
        if not self.floor <= self.begin <= self.ceiling:
            raise InvalidOption(
                f"adaptation floor is {self.floor}, start {self.begin}, ceiling {self.ceiling} bits a second: "
                "they must not decrease"
            )
        if not 0 <= self.target_loss < 1:
            raise InvalidOption(f"adaptation target-loss is {self.target_loss}, must lie between 0 and 1")
        if not 0.05 <= self.period <= 60:
            raise InvalidOption(
                f"adaptation period is {self.period:g} s, must lie between 0.05 and 60 seconds"
            )
        if not 0 <= self.settle <= 100:
            raise InvalidOption(f"adaptation settle is {self.settle}, must lie between 0 and 100 reports")

    @classmethod
    def parse(cls, text: str) -> RistAdaptation:
        """Read ``floor:1000,ceiling:12000``, rates in kbit/s, the period in ms; what is left out keeps its default."""
        values: dict[str, float] = {}
        for part in text.split(","):
            word, _, value = part.partition(":")
            if word not in _WORDS or _WORDS[word][0] in values:
                why = "comes twice" if word in _WORDS else f"is none of {', '.join(_WORDS)}"
                raise InvalidOption(
                    f"adaptation {text!r}: {word!r} {why}", hint="write adaptation=floor:1000,ceiling:12000"
                )
            field, unit = _WORDS[word]
            try:
                number = float(value) * unit
            except ValueError:
                raise InvalidOption(f"adaptation {word} is {value!r}, must be a number") from None
            values[field] = number
        default = cls()
        return cls(
            floor=_whole(values, "floor", default.floor),
            ceiling=_whole(values, "ceiling", default.ceiling),
            start=_whole(values, "start", 0) or None,
            target_loss=values.get("target_loss", default.target_loss),
            period=values.get("period", default.period),
            settle=_whole(values, "settle", default.settle),
        )

    @property
    def begin(self) -> int:
        """Bits a second to begin with."""
        return self.ceiling if self.start is None else self.start


def _whole(values: dict[str, float], field: str, default: int) -> int:
    value = values.get(field, default)
    if not abs(value) < 1e15:
        raise InvalidOption(f"adaptation {field} is {value:g}, which is no such number")
    return round(value)
