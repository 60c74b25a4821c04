"""Payloads of one stream among several that a tunnel carries as one flow.

libRIST's way of multiplexing: one flow, with one sequence and one recovery, whose packets each say by their virtual
ports which stream they are of. A payload that belongs to a stream says so itself, so that it may pass through history,
recovery and playout like any other; where nobody multiplexes there is nothing to pay.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.virtual_ports import VirtualPorts

__all__ = ["StreamPayload", "ports_of", "stream_id_of"]

# libRIST's own source ports begin here; whatever is lower was chosen, to name a stream.
_FIRST_SOURCE: Final = 0x8000


class StreamPayload(bytes):
    """A payload that travels, or travelled, on *ports*."""

    ports: VirtualPorts

    @classmethod
    def of(cls, payload: Buffer, ports: VirtualPorts) -> StreamPayload:
        """*payload*, as one of the stream on *ports*."""
        made = cls(payload)
        made.ports = ports
        return made


def ports_of(payload: Buffer) -> VirtualPorts | None:
    """The ports that a payload belongs to, None where it says nothing of them."""
    return payload.ports if type(payload) is StreamPayload else None


def stream_id_of(ports: VirtualPorts) -> int:
    """What libRIST's tools call ``stream-id``: the destination, or a source that was chosen to be it."""
    return ports.destination if ports.source >= _FIRST_SOURCE else ports.source
