"""Does a deciphered packet look as if it had been deciphered with the right key?

Counter mode carries no seal, so a wrong key yields noise, and noise must never reach a user. What follows the GRE
header leaves more or fewer bits to recognise; only where at least sixteen of them are as they should be is that
called proof.
"""

from __future__ import annotations

from collections.abc import Container
from enum import IntEnum
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.gre import IPV4, KEEPALIVE, REDUCED, VSF
from terzetto.rist.wire.virtual_ports import PORTS_SIZE, VirtualPorts, looks_like_report
from terzetto.rist.wire.vsf import unwrap

__all__ = ["Evidence", "evidence", "is_transport_stream"]

_RTP_SIZE: Final = 12
_RTCP_SIZE: Final = 8
_TS_SYNC: Final = 0x47
_TS_SIZES: Final = (188, 204)
_KEEPALIVE_SIZE: Final = 8
_IPV4_SIZE: Final = 20


class Evidence(IntEnum):
    """What a packet's looks say about its key."""

    AGAINST = 0
    NONE = 1
    PROOF = 2


def evidence(protocol_type: int, plain: Buffer, known_ports: Container[int]) -> Evidence:
    """What *plain* says; *known_ports* are virtual destination ports that the peer is known to use."""
    if protocol_type == VSF:
        try:
            unwrap(protocol_type, plain)
        except MalformedPacket:
            return Evidence.AGAINST
        return Evidence.PROOF
    if protocol_type == REDUCED:
        return _of_data(plain, known_ports)
    if protocol_type == KEEPALIVE:
        return Evidence.NONE if len(plain) >= _KEEPALIVE_SIZE else Evidence.AGAINST
    if protocol_type == IPV4 and len(plain) >= _IPV4_SIZE:
        whole = int.from_bytes(plain[2:4], "big")
        return Evidence.PROOF if plain[0] == 0x45 and whole == len(plain) else Evidence.NONE
    return Evidence.NONE


def _of_data(plain: Buffer, known_ports: Container[int]) -> Evidence:
    packet = plain[PORTS_SIZE:]
    if len(packet) < _RTCP_SIZE or packet[0] & 0xC0 != 0x80:
        return Evidence.AGAINST
    if VirtualPorts.decode(plain).destination in known_ports:
        return Evidence.PROOF
    if looks_like_report(packet):
        return Evidence.PROOF if _is_compound(packet) else Evidence.NONE
    if len(packet) < _RTP_SIZE:
        return Evidence.AGAINST
    return Evidence.PROOF if is_transport_stream(packet[_RTP_SIZE:]) else Evidence.NONE


def _is_compound(packet: Buffer) -> bool:
    """Whether the lengths of RTCP add up."""
    at = 0
    while at + 4 <= len(packet):
        if packet[at] & 0xC0 != 0x80:
            return False
        at += 4 * (int.from_bytes(packet[at + 2 : at + 4], "big") + 1)
    return at == len(packet)


def is_transport_stream(payload: Buffer) -> bool:
    """Whether at least two TS packets begin where they should."""
    for size in _TS_SIZES:
        if len(payload) >= 2 * size and len(payload) % size == 0:
            return all(payload[at] == _TS_SYNC for at in range(0, len(payload), size))
    return False
