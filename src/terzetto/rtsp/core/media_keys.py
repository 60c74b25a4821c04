"""The SRTP keys of one media: where the peer says its own, and what ours are.

Each direction has a key of its own, made by whoever sends. The peer says its key in the answer to SETUP (or, to a
server, in the request), in the media's description, or in the description of all medias; ours travels in a KeyMgmt
header. Some cameras want both directions under the client's key, and say so by refusing a SETUP without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.rtp.srtp import SrtpReceiver, SrtpSender
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile
from terzetto.rtsp.wire.description import Description, Media
from terzetto.rtsp.wire.headers.key_mgmt import parse_key_mgmt_attribute
from terzetto.rtsp.wire.mikey import CryptoSession, Mikey
from terzetto.rtsp.wire.sdp.crypto import Crypto

__all__ = ["MediaKeys", "described_keys", "make_key", "receiver_of", "say_key"]

# The only one that everybody in the field speaks.
_PROFILE: Final = SrtpProfile.AES_CM_128_HMAC_SHA1_80
_MKI_SIZE: Final = 4
_NONCE_SIZE: Final = 16


class MediaKeys:
    """Opens what the peer sends of a media, and seals what we send of it."""

    def __init__(self, *, inbound: SrtpReceiver | None, outbound: SrtpSender | None) -> None:
        self.inbound = inbound
        self.outbound = outbound

    def open(self, packets: Sequence[Buffer], *, is_rtcp: bool) -> list[Buffer]:
        """The packets of *packets* that are genuine; what is not is counted."""
        receiver = self.inbound
        if receiver is None:
            return []
        unprotect = receiver.unprotect_rtcp if is_rtcp else receiver.unprotect
        return [plain for packet in packets if (plain := unprotect(packet)) is not None]

    def seal(self, packets: Sequence[Buffer], *, is_rtcp: bool) -> list[Buffer]:
        """*packets*, sealed; none where we have no key."""
        sender = self.outbound
        if sender is None:
            return []
        protect = sender.protect_rtcp if is_rtcp else sender.protect
        return [protect(packet) for packet in packets]

    @property
    def dropped(self) -> Counter[str]:
        """What was not opened, by reason."""
        return self.inbound.dropped if self.inbound is not None else Counter()


def described_keys(description: Description | None, media: Media) -> SrtpReceiver | None:
    """What opens a media according to its description; None where that names no key.

    MalformedPacket where it names only keys that make no sense.
    """
    faults: list[MalformedPacket] = []
    values = media.attributes("key-mgmt")
    if description is not None and description.sdp is not None:
        values += description.sdp.attributes("key-mgmt")
    for value in values:
        try:
            mikey = parse_key_mgmt_attribute(value)
        except MalformedPacket as exc:
            faults.append(exc)
        else:
            return receiver_of(mikey)
    for value in media.attributes("crypto"):
        try:
            return SrtpReceiver(Crypto.parse(value).key)
        except MalformedPacket as exc:
            faults.append(exc)
    if faults:
        raise faults[0]
    return None


def receiver_of(mikey: Mikey) -> SrtpReceiver:
    """What opens packets under the key of a message, from the rollover counters that it names."""
    return SrtpReceiver(mikey.key, rollovers=mikey.rollovers)


def make_key(entropy: EntropySource, *, named: bool = False) -> MasterKey:
    """A fresh key; *named* gives it an identifier, for those cameras that ask for one."""
    data = entropy(_PROFILE.key_size + _PROFILE.salt_size)
    return MasterKey.from_bytes(_PROFILE, data, entropy(_MKI_SIZE) if named else b"")


def say_key(sender: SrtpSender, ssrc: int, *, ntp: int, entropy: EntropySource) -> Mikey:
    """The message that tells a peer our key, and how far the numbers of *ssrc* have come."""
    return Mikey(
        key=sender.master,
        sessions=(CryptoSession(ssrc, sender.rollover_of(ssrc)),),
        bundle=int.from_bytes(entropy(4), "big"),
        time=ntp,
        nonce=entropy(_NONCE_SIZE),
    )
