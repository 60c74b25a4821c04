"""What happens, for whoever configures logging; silent by default.

Loggers are named after libsrt's areas: ``terzetto.srt.conn`` (connections), ``.haicrypt`` (keys), ``.tsbpd``
(packets skipped).
"""

from __future__ import annotations

import logging

from terzetto.primitives.datagrams import Address
from terzetto.srt.events import (
    ConnectionRefused,
    ConnectionRequested,
    KeyAnnounced,
    KeyRotated,
    PacketsSkipped,
    PeerLost,
    SecurityChanged,
    SrtEvent,
)

__all__ = ["CONN", "log_event"]

logging.getLogger("terzetto").addHandler(logging.NullHandler())

CONN = logging.getLogger("terzetto.srt.conn")
_HAICRYPT = logging.getLogger("terzetto.srt.haicrypt")
_TSBPD = logging.getLogger("terzetto.srt.tsbpd")


def log_event(event: SrtEvent, who: Address | None) -> None:
    """Write *event* into its area."""
    if isinstance(event, KeyAnnounced | KeyRotated | SecurityChanged):
        _HAICRYPT.debug("%s: %s", who, event)
    elif isinstance(event, PacketsSkipped):
        _TSBPD.debug("%s: %s", who, event)
    elif isinstance(event, PeerLost | ConnectionRefused):
        CONN.warning("%s: %s", who, event)
    elif isinstance(event, ConnectionRequested):
        CONN.debug("%s: %s", who, event)
    else:
        CONN.info("%s: %s", who, event)
