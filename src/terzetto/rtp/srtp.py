"""SRTP and SRTCP (RFC 3711): whose packets they are, how often their numbers have wrapped, and which are new.

A packet carries sixteen bits of its index; the rest, the *rollover counter*, both ends keep for themselves. A receiver
that comes late must be told it, or every packet looks forged: that is what ``rollovers`` is for.

State is made for a source only when a packet of it has proved to be genuine, and for a bounded number of sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from terzetto.errors import InvalidOption, MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.header import FIXED_HEADER_SIZE
from terzetto.rtp.srtp_keys import MasterKey
from terzetto.rtp.srtp_transform import RTCP_CLEAR_SIZE, Transform, make_transform

__all__ = ["SOURCE_LIMIT", "SrtpReceiver", "SrtpSender"]

SOURCE_LIMIT: Final = 64
"""How many sources may hold state under one key; a media has one, and some more when its encoder restarts."""

_WINDOW: Final = 1024
"""Indexes remembered against replays: more than any reordering that a receiver's buffer would forgive."""
_WINDOW_MASK: Final = (1 << _WINDOW) - 1
_HALF: Final = 0x8000
_LARGEST_ROLLOVER: Final = 0xFFFF_FFFF
_LARGEST_RTCP_INDEX: Final = 0x7FFF_FFFF
_INDEX_SIZE: Final = 4


def _payload_start(packet: bytes) -> int:
    """Where the part begins that is enciphered: behind sources and extension; MalformedPacket when there is none."""
    size = len(packet)
    if size < FIXED_HEADER_SIZE or packet[0] & 0xC0 != 0x80:
        raise MalformedPacket("RTP header is truncated, or its version is not 2")
    start = FIXED_HEADER_SIZE + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if size < start + 4:
            raise MalformedPacket("RTP header extension is truncated")
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if size < start:
        raise MalformedPacket("RTP header is truncated")
    return start


class _Indexes:
    """The indexes of one source: the newest, and which of those shortly before it were seen."""

    __slots__ = ("newest", "seen")

    def __init__(self, newest: int) -> None:
        self.newest = newest
        self.seen = 0

    def guess(self, sequence: int) -> int:
        """The index that *sequence* most likely stands for (RFC 3711, 3.3.1): the nearest to the newest."""
        index = self.newest - ((self.newest - sequence + _HALF & 0xFFFF) - _HALF)
        return index if index >= 0 else index + 0x10000

    def is_new(self, index: int) -> bool:
        """Whether it was not seen, as far as anybody remembers."""
        behind = self.newest - index
        return behind < 0 or (behind < _WINDOW and not self.seen >> behind & 1)

    def take(self, index: int) -> None:
        """Remember a genuine one."""
        ahead = index - self.newest
        if ahead > 0:
            self.seen = (self.seen << ahead | 1) & _WINDOW_MASK if ahead < _WINDOW else 1
            self.newest = index
        else:
            self.seen |= 1 << -ahead


class SrtpSender:
    """Seals what one end sends under one master key. Nothing is ever sealed twice under one index."""

    def __init__(self, master: MasterKey, *, rollovers: Mapping[int, int] | None = None) -> None:
        self.master: Final = master
        self._transform = make_transform(master)
        self._rollovers = dict(rollovers or {})
        self._newest: dict[int, int] = {}
        self._reports: dict[int, int] = {}

    def rollover_of(self, ssrc: int) -> int:
        """How often the sequence numbers of *ssrc* have wrapped: what a receiver that joins now must know."""
        if ssrc in self._newest:
            return self._newest[ssrc] >> 16
        return self._rollovers.get(ssrc, 0)

    def advance(self, ssrc: int, sequence: int) -> None:
        """*sequence* was sent without us: whoever seals only now and then must count on, lest an index comes twice.

        At most half of all sequence numbers may lie between one call and the next.
        """
        newest = self._newest.get(ssrc)
        if newest is None:
            self._newest[ssrc] = self._rollovers.get(ssrc, 0) << 16 | sequence
        else:
            self._newest[ssrc] = max(newest, newest + ((sequence - newest + _HALF & 0xFFFF) - _HALF))

    def protect(self, packet: Buffer) -> bytes:
        """A media packet, sealed; MalformedPacket where it is none."""
        plain = bytes(packet)
        start = _payload_start(plain)
        sequence = int.from_bytes(plain[2:4], "big")
        ssrc = int.from_bytes(plain[8:12], "big")
        newest = self._newest.get(ssrc)
        if newest is None:
            index = self._rollovers.get(ssrc, 0) << 16 | sequence
            self._newest[ssrc] = index
        else:
            index = newest + ((sequence - newest + _HALF & 0xFFFF) - _HALF)
            if index > newest:
                self._newest[ssrc] = index
            elif index < 0:
                raise MalformedPacket("an RTP packet from before the beginning cannot be sealed")
        if index >> 16 > _LARGEST_ROLLOVER:
            raise InvalidOption("the SRTP key is used up", hint="agree upon a new one")
        return self._transform.seal_rtp(plain, start, ssrc, index)

    def protect_rtcp(self, compound: Buffer) -> bytes:
        """A compound of reports, sealed as one; MalformedPacket where it is none."""
        plain = bytes(compound)
        if len(plain) < RTCP_CLEAR_SIZE:
            raise MalformedPacket("RTCP header is truncated")
        ssrc = int.from_bytes(plain[4:8], "big")
        index = self._reports.get(ssrc, 0) + 1
        if index > _LARGEST_RTCP_INDEX:
            raise InvalidOption("the SRTCP key is used up", hint="agree upon a new one")
        self._reports[ssrc] = index
        return self._transform.seal_rtcp(plain, ssrc, index)


class _Key:
    """One master key of a receiver, and what was seen under it."""

    def __init__(self, master: MasterKey, rollovers: Mapping[int, int]) -> None:
        self.master = master
        self.transform: Transform = make_transform(master)
        self.rollovers = dict(rollovers)
        self.media: dict[int, _Indexes] = {}
        self.reports: dict[int, _Indexes] = {}


class SrtpReceiver:
    """Opens what the other end sends. A packet that cannot be opened is None, and counted by reason.

    Keys may be added while media flows; a packet is tried with the newest first, or with the one its MKI names.
    """

    KEY_LIMIT: Final = 4
    """Keys kept at once; with one more the oldest goes."""

    def __init__(self, master: MasterKey, *, rollovers: Mapping[int, int] | None = None) -> None:
        self._keys = [_Key(master, rollovers or {})]
        self.dropped: Counter[str] = Counter()

    def add_key(self, master: MasterKey, *, rollovers: Mapping[int, int] | None = None) -> None:
        """Be ready for another key; those before stay good for what is still under way."""
        if any(key.master == master for key in self._keys):
            return  # asked again: what was seen under it is not forgotten
        self._keys.insert(0, _Key(master, rollovers or {}))
        del self._keys[self.KEY_LIMIT :]

    def unprotect(self, packet: Buffer) -> bytes | None:
        """The media packet, or None when it is forged, was here before, or is none."""
        sealed = bytes(packet)
        try:
            start = _payload_start(sealed)
        except MalformedPacket as exc:
            self.dropped[str(exc)] += 1
            return None
        sequence = int.from_bytes(sealed[2:4], "big")
        ssrc = int.from_bytes(sealed[8:12], "big")
        replayed = False
        for key in self._keys:
            indexes = key.media.get(ssrc)
            if indexes is None:
                index = key.rollovers.get(ssrc, 0) << 16 | sequence
            else:
                index = indexes.guess(sequence)
                if not indexes.is_new(index):
                    replayed = True
                    continue
            plain = key.transform.open_rtp(sealed, start, ssrc, index)
            if plain is not None:
                return plain if self._take(key.media, ssrc, indexes, index) else None
        self.dropped[
            "SRTP packet was here before" if replayed else "SRTP packet is forged, or its key unknown"
        ] += 1
        return None

    def unprotect_rtcp(self, compound: Buffer) -> bytes | None:
        """The compound of reports, or None when it is forged, was here before, or is none."""
        sealed = bytes(compound)
        ssrc = int.from_bytes(sealed[4:8], "big")
        replayed = False
        for key in self._keys:
            profile = key.master.profile
            # GCM's tag lies before the index, and not behind it.
            behind = len(key.master.mki) + (0 if profile.is_gcm else profile.rtcp_tag_size)
            word_at = len(sealed) - behind - _INDEX_SIZE
            if word_at < RTCP_CLEAR_SIZE + (profile.rtcp_tag_size if profile.is_gcm else 0):
                continue
            word = int.from_bytes(sealed[word_at : word_at + _INDEX_SIZE], "big")
            index = word & _LARGEST_RTCP_INDEX
            indexes = key.reports.get(ssrc)
            if indexes is not None and not indexes.is_new(index):
                replayed = True
                continue
            plain = key.transform.open_rtcp(sealed, ssrc, word)
            if plain is not None:
                return plain if self._take(key.reports, ssrc, indexes, index) else None
        self.dropped[
            "SRTCP packet was here before" if replayed else "SRTCP packet is forged, or its key unknown"
        ] += 1
        return None

    def _take(self, seen: dict[int, _Indexes], ssrc: int, indexes: _Indexes | None, index: int) -> bool:
        if indexes is None:
            if len(seen) >= SOURCE_LIMIT:
                self.dropped["more SRTP sources than may hold state"] += 1
                return False
            indexes = seen[ssrc] = _Indexes(index)
        indexes.take(index)
        return True
