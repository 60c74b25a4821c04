"""Rate-Control, Immediate and Frames: how a recording is to be sent (ONVIF Streaming Specification, section 6.4)."""

from __future__ import annotations

from typing import Final, Literal, Self

from attrs import field, frozen, validators

from terzetto.errors import MalformedPacket
from terzetto.primitives.time import Micros
from terzetto.rtsp.wire.fields import Fields

__all__ = ["FrameChoice", "Replay"]

FrameChoice = Literal["all", "intra", "predicted"]

_CHOICES: Final[tuple[FrameChoice, ...]] = ("all", "intra", "predicted")
_MILLISECOND: Final = 1000


@frozen(kw_only=True)
class Replay:
    """How a recording is to be sent; the defaults are those of a server that is told nothing."""

    rate_control: bool = True
    """Whether the server sends at the pace of the recording; if not, as fast as it is taken."""
    immediate: bool = False
    """A PLAY while playing: drop what was asked for before, rather than send it to its end."""
    frames: FrameChoice = field(default="all", validator=validators.in_(_CHOICES))
    """Which pictures: all, those that need no other, or those and the ones predicted from earlier ones."""
    intra_interval: Micros | None = None
    """With ``frames="intra"``: at least so much time between two."""

    def write(self, fields: Fields) -> None:
        """Say so in a PLAY request."""
        fields["Rate-Control"] = "yes" if self.rate_control else "no"
        if self.immediate:
            fields["Immediate"] = "yes"
        if self.intra_interval is not None:
            fields["Frames"] = f"intra/{self.intra_interval // _MILLISECOND}"
        elif self.frames != "all":
            fields["Frames"] = self.frames

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """What a PLAY request says; MalformedPacket is the only way to fail."""
        choice, slash, interval = (fields.get("Frames") or "all").strip().lower().partition("/")
        frames = next((each for each in _CHOICES if each == choice), None)
        if frames is None or (slash and frames != "intra"):
            raise MalformedPacket("Frames makes no sense")
        if slash and not (interval.isascii() and interval.isdigit() and len(interval) < 10):
            raise MalformedPacket("Frames has a malformed interval")
        return cls(
            rate_control=_is_yes(fields.get("Rate-Control"), default=True),
            immediate=_is_yes(fields.get("Immediate"), default=False),
            frames=frames,
            intra_interval=int(interval) * _MILLISECOND if slash else None,
        )


def _is_yes(text: str | None, *, default: bool) -> bool:
    match (text or "").strip().lower():
        case "":
            return default
        case "yes":
            return True
        case "no":
            return False
        case _:
            raise MalformedPacket("a header that says yes or no says neither")
