"""Data beside the stream in packets of the unprotected flow: sent once, and not repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rist.core.advanced_link import AdvancedLink
from terzetto.rist.core.advanced_pieces import ETHER_TYPES, unwrap_gre
from terzetto.rist.events import OutOfBandReceived
from terzetto.rist.wire.advanced_header import PayloadType
from terzetto.rist.wire.gre import IPV4

__all__ = ["beside_from_bodies", "beside_packets"]


def beside_packets(
    link: AdvancedLink, data: Buffer, ether_type: int, *, ssrc: int, now: Micros
) -> list[Buffer]:
    """Datagrams of *data*: IPv4 has a kind of its own, everything else travels in GRE (RFC 2784)."""
    if ether_type == IPV4:
        return link.beside(data, PayloadType.IPV4, ssrc=ssrc, now=now)
    inner = b"\0\0" + ether_type.to_bytes(2, "big") + bytes(data)
    return link.beside(inner, PayloadType.GRE, ssrc=ssrc, now=now)


def beside_from_bodies(kind: int, bodies: Iterable[Buffer], dropped: Counter[str]) -> list[OutOfBandReceived]:
    """What packets of that kind bring."""
    received: list[OutOfBandReceived] = []
    for body in bodies:
        if kind in ETHER_TYPES:
            received.append(OutOfBandReceived(ETHER_TYPES[PayloadType(kind)], bytes(body)))
            continue
        unwrapped = unwrap_gre(bytes(body)) if kind == PayloadType.GRE else None
        if unwrapped is None:
            dropped["unprotected packet of a kind that we do not take"] += 1
        else:
            received.append(unwrapped)
    return received
