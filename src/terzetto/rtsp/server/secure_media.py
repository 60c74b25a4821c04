"""SRTP on the server: what a description says of our keys, and what a SETUP settles."""

from __future__ import annotations

from attrs import evolve

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import EntropySource
from terzetto.rtp.srtp import SrtpReceiver, SrtpSender
from terzetto.rtsp.core.media_keys import MediaKeys, described_keys, make_key, receiver_of, say_key
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt, format_key_mgmt_attribute
from terzetto.rtsp.wire.message import Request

__all__ = ["MissingKeyError", "describe_securely", "keys_of_publisher", "keys_of_reader"]


class MissingKeyError(Exception):
    """A client wants SRTP and says no key, or one that makes no sense."""


def describe_securely(stream: ServerStream) -> Description:
    """The stream's description for those who may read its keys."""
    medias = tuple(
        evolve(
            media,
            protocol="RTP/SAVP",
            key_management=format_key_mgmt_attribute(stream.say_key(index)),
        )
        for index, media in enumerate(stream.description.medias)
    )
    return evolve(stream.description, medias=medias)


def keys_of_reader(request: Request, stream: ServerStream, media: int, url: str) -> tuple[MediaKeys, KeyMgmt]:
    """A reader's keys, and what to answer: how far our numbers have come, for those who join late.

    What the reader sends (reports, or a back channel) is opened with the key that it says.
    """
    inbound = _said_key(request)
    if inbound is None:
        raise MissingKeyError
    keys = MediaKeys(inbound=inbound, outbound=stream.secure_sender(media))
    return keys, KeyMgmt(stream.say_key(media), url)


def keys_of_publisher(
    request: Request,
    description: Description,
    media: int,
    url: str,
    *,
    ssrc: int,
    ntp: int,
    entropy: EntropySource,
) -> tuple[MediaKeys, KeyMgmt]:
    """A publisher's keys, from its SETUP or else its description, and what to answer: the key of our reports."""
    inbound = _said_key(request)
    if inbound is None:
        try:
            inbound = described_keys(description, description.medias[media])
        except MalformedPacket as exc:
            raise MissingKeyError from exc
    if inbound is None:
        raise MissingKeyError
    outbound = SrtpSender(make_key(entropy))
    return MediaKeys(inbound=inbound, outbound=outbound), KeyMgmt(
        say_key(outbound, ssrc, ntp=ntp, entropy=entropy), url
    )


def _said_key(request: Request) -> SrtpReceiver | None:
    text = request.fields.get("KeyMgmt")
    if text is None:
        return None
    try:
        return receiver_of(KeyMgmt.parse(text).mikey)
    except MalformedPacket as exc:
        raise MissingKeyError from exc
