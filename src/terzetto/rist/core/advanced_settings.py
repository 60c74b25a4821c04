"""What an end of the Advanced profile is told once, beside what every end of a tunnel is told."""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.fec import RistFec
from terzetto.rist.quirks import Quirks
from terzetto.rist.wire.advanced_header import HASH_SIZE, PskMode
from terzetto.rist.wire.keepalive import Capability

__all__ = ["ADVANCED_CAPABILITIES", "AdvancedSettings"]

ADVANCED_CAPABILITIES: Final = (
    Capability.ADVANCED | Capability.ADVANCED_COMPRESSION | Capability.ADVANCED_FRAGMENTATION
)
"""What we announce: all of it can be received, whatever is sent."""

_IP_AND_UDP: Final = {4: 28, 6: 48}
_FIXED: Final = 16
_DESCRIPTOR: Final = 4
_FLOW_ID: Final = 4
_NONCE: Final = 4
_IV: Final = 4


@attrs.frozen(kw_only=True)
class AdvancedSettings:
    """Everything that is not the peer's doing."""

    tunnel: TunnelSettings
    at_once: bool = False
    """Do not wait for the peer to say that it can."""
    substrate: bool = True
    """Speak the Main profile beside it: reports, and whatever else libRIST looks for there."""
    mode: PskMode = PskMode.CTR
    compress: bool = False
    fragment_size: int | None = None
    quirks: Quirks | None = None
    """None learns them from the peer."""
    fec: RistFec | None = None
    """Forward error correction of what is on the wire."""
    flow_id: int | None = None
    """The flow id of the header, which tells logical flows apart; not the SSRC."""

    @property
    def longest_fragment(self) -> int:
        """Bytes of payload that fit into one packet."""
        tunnel = self.tunnel
        headers = _IP_AND_UDP[tunnel.family] + _FIXED + _DESCRIPTOR
        if self.flow_id is not None:
            headers += _FLOW_ID
        if tunnel.secret is not None or tunnel.session_keys:
            headers += _NONCE
            headers += _IV if self.mode != PskMode.HMAC else 0
            headers += HASH_SIZE if self.mode != PskMode.CTR else 0
        fits = tunnel.mtu - headers
        return fits if self.fragment_size is None else min(fits, self.fragment_size)
