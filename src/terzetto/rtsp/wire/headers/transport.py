"""Transport: how the packets of one media travel (RFC 2326, section 12.39).

::

    Transport: spec *("," spec)
    spec = profile *(";" parameter)

A client asks with one or several specs in order of preference, a server answers with exactly one.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.parameters import parse_parameters, split_outside_quotes

__all__ = ["Delivery", "LowerTransport", "Mode", "PortPair", "Transport", "parse_transports"]

PortPair = tuple[int, int]
"""RTP's port or channel and RTCP's."""


class LowerTransport(Enum):
    """What carries RTP."""

    UDP = "UDP"
    TCP = "TCP"


class Delivery(Enum):
    """To whom it goes."""

    UNICAST = "unicast"
    MULTICAST = "multicast"


class Mode(Enum):
    """Which way the media goes."""

    PLAY = "play"
    RECORD = "record"


_PROFILES: Final = {
    "RTP/AVP": ("AVP", LowerTransport.UDP),
    "RTP/AVP/UDP": ("AVP", LowerTransport.UDP),
    "RTP/AVP/TCP": ("AVP", LowerTransport.TCP),
    "RTP/SAVP": ("SAVP", LowerTransport.UDP),
    "RTP/SAVP/UDP": ("SAVP", LowerTransport.UDP),
    "RTP/SAVP/TCP": ("SAVP", LowerTransport.TCP),
    "RTP/AVPF": ("AVPF", LowerTransport.UDP),
    "RTP/AVPF/UDP": ("AVPF", LowerTransport.UDP),
    "RTP/AVPF/TCP": ("AVPF", LowerTransport.TCP),
    "RTP/SAVPF": ("SAVPF", LowerTransport.UDP),
    "RTP/SAVPF/UDP": ("SAVPF", LowerTransport.UDP),
    "RTP/SAVPF/TCP": ("SAVPF", LowerTransport.TCP),
}
_MODES: Final = {"play": Mode.PLAY, "record": Mode.RECORD, "receive": Mode.RECORD}
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,8}")


@frozen(kw_only=True)
class Transport:
    """One spec. What is None or absent was not said."""

    lower: LowerTransport
    profile: str = "AVP"
    delivery: Delivery | None = None
    source: str | None = None
    destination: str | None = None
    interleaved: PortPair | None = None
    port: PortPair | None = None
    ttl: int | None = None
    client_port: PortPair | None = None
    server_port: PortPair | None = None
    ssrc: int | None = None
    mode: Mode | None = None

    @property
    def is_secure(self) -> bool:
        """Whether the packets are SRTP."""
        return self.profile.startswith("S")

    @property
    def is_multicast(self) -> bool:
        """Whether it says so: unsaid means unicast in practice, whatever the specification holds."""
        return self.delivery is Delivery.MULTICAST

    @classmethod
    def parse(cls, text: str) -> Transport:
        """The only, or the first usable, spec of a header."""
        return parse_transports(text)[0]

    def __str__(self) -> str:
        parts = [f"RTP/{self.profile}" + ("/TCP" if self.lower is LowerTransport.TCP else "")]
        if self.delivery is not None:
            parts.append(self.delivery.value)
        if self.source is not None:
            parts.append(f"source={self.source}")
        if self.destination is not None:
            parts.append(f"destination={self.destination}")
        if self.interleaved is not None:
            parts.append("interleaved={}-{}".format(*self.interleaved))
        if self.port is not None:
            parts.append("port={}-{}".format(*self.port))
        if self.ttl is not None:
            parts.append(f"ttl={self.ttl}")
        if self.client_port is not None:
            parts.append("client_port={}-{}".format(*self.client_port))
        if self.server_port is not None:
            parts.append("server_port={}-{}".format(*self.server_port))
        if self.ssrc is not None:
            parts.append(f"ssrc={self.ssrc:08X}")
        if self.mode is not None:
            parts.append(f"mode={self.mode.value}")
        return ";".join(parts)


def parse_transports(text: str) -> list[Transport]:
    """Every spec of a known profile, in order of preference.

    Those of unknown profiles (raw MPEG-TS, for one) are stepped over; MalformedPacket when none is left, or when
    one of ours says something that cannot be.
    """
    specs = [
        spec
        for part in split_outside_quotes(text, ",")
        if part.strip() and (spec := _parse_spec(part)) is not None
    ]
    if not specs:
        raise MalformedPacket("Transport names no known profile")
    return specs


def _parse_spec(text: str) -> Transport | None:
    pairs = parse_parameters(text)
    if not pairs:
        return None
    known = _PROFILES.get(pairs[0][0].upper())
    if known is None:
        return None
    profile, lower = known
    values: dict[str, str] = {}
    delivery: Delivery | None = None
    for key, value in pairs[1:]:
        name = key.lower()
        if name == "unicast":
            delivery = Delivery.UNICAST
        elif name == "multicast":
            delivery = Delivery.MULTICAST
        else:
            values.setdefault(name, value)
    return Transport(
        lower=lower,
        profile=profile,
        delivery=delivery,
        source=values.get("source") or None,
        destination=values.get("destination") or None,
        interleaved=_pair(values, "interleaved", 255),
        port=_pair(values, "port", 65535),
        ttl=_ttl(values),
        client_port=_pair(values, "client_port", 65535),
        server_port=_pair(values, "server_port", 65535),
        ssrc=_ssrc(values),
        mode=_mode(values),
    )


def _pair(values: dict[str, str], name: str, highest: int) -> PortPair | None:
    """``a-b``, or ``a`` for ``a`` and the one above it."""
    text = values.get(name)
    if text is None:
        return None
    first, dash, second = text.partition("-")
    first, second = first.strip(), second.strip()
    if not (_is_number(first) and (not dash or _is_number(second))):
        raise MalformedPacket(f"Transport has a malformed {name}")
    low = int(first)
    high = int(second) if dash else low + 1
    if low > highest or high > highest:
        raise MalformedPacket(f"Transport has an impossible {name}")
    return low, high


def _ttl(values: dict[str, str]) -> int | None:
    text = values.get("ttl")
    if text is None:
        return None
    if not _is_number(text) or int(text) > 255:
        raise MalformedPacket("Transport has an impossible ttl")
    return int(text)


def _ssrc(values: dict[str, str]) -> int | None:
    # Cameras write it short, with blanks, or not in hex at all; it is a hint, so what cannot be read is not there.
    text = values.get("ssrc", "").strip()
    return int(text, 16) if _HEX.fullmatch(text) else None


def _mode(values: dict[str, str]) -> Mode | None:
    text = values.get("mode")
    if not text:
        return None
    try:
        return _MODES[text.lower()]
    except KeyError:
        raise MalformedPacket("Transport has an unknown mode") from None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5
