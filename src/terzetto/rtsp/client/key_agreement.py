"""Agreeing upon SRTP keys while a media is set up."""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket, ProtocolViolation
from terzetto.primitives.datagrams import EntropySource
from terzetto.rtp.srtp import SrtpReceiver, SrtpSender
from terzetto.rtsp.core.media_keys import MediaKeys, described_keys, make_key, receiver_of, say_key
from terzetto.rtsp.wire.description import Description, Media
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt
from terzetto.rtsp.wire.message import Response
from terzetto.rtsp.wire.status import Status

__all__ = ["KeyAgreement"]


class KeyAgreement:
    """The keys of one media that is being set up.

    *sender* seals what we send of it, under a key of its own where we publish and have said so already; what it sends
    is called *ssrc*.
    """

    def __init__(
        self,
        media: Media,
        description: Description | None,
        *,
        ssrc: int,
        ntp: int,
        entropy: EntropySource,
        sender: SrtpSender | None = None,
    ) -> None:
        self._media: Final = media
        self._description: Final = description
        self.ssrc: Final = ssrc
        self._ntp = ntp
        self._entropy = entropy
        self._sender = sender or SrtpSender(make_key(entropy))
        self._ours_for_both = False

    def header(self, url: str) -> str:
        """Our key, as a SETUP says it."""
        mikey = say_key(self._sender, self.ssrc, ntp=self._ntp, entropy=self._entropy)
        return str(KeyMgmt(mikey, url))

    def takes_over(self, response: Response) -> bool:
        """Whether the server refused because the client is to manage the keys of both directions (Axis cameras).

        Then the next `header` names our key, and the answer's is of no interest.
        """
        if self._ours_for_both or response.code != Status.KEY_MANAGEMENT_FAILURE:
            return False
        self._ours_for_both = True
        self._sender = SrtpSender(make_key(self._entropy, named=True))
        return True

    def settle(self, response: Response) -> MediaKeys:
        """The keys, once SETUP was answered; ProtocolViolation where the server has not said its own."""
        return MediaKeys(inbound=self._inbound(response), outbound=self._sender)

    def _inbound(self, response: Response) -> SrtpReceiver:
        if self._ours_for_both:
            return SrtpReceiver(self._sender.master)
        text = response.fields.get("KeyMgmt")
        try:
            if text is not None:
                return receiver_of(KeyMgmt.parse(text).mikey)
            described = described_keys(self._description, self._media)
        except MalformedPacket as exc:
            raise ProtocolViolation(f"the server's SRTP key makes no sense: {exc.reason}") from exc
        if described is None:
            raise ProtocolViolation("the server sends SRTP, and no key to open it with")
        return described
