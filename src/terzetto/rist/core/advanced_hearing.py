"""What control messages of the Advanced profile say, sorted by who has to know."""

from __future__ import annotations

from collections import Counter
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core import vocabulary as say
from terzetto.rist.wire.advanced_control import (
    ControlIndex,
    Echo,
    FutureNonce,
    Unsupported,
    decode_control,
    decode_keepalive,
    decode_text,
    is_vendors,
)
from terzetto.rist.wire.advanced_nack import AdvancedNack
from terzetto.rist.wire.keepalive import Capability, Keepalive
from terzetto.rist.wire.link_quality import LinkQuality

__all__ = ["ControlHearing"]

# Nothing longer comes back as an echo, however long the request.
_LONGEST_ECHO_PADDING: Final = 1400

_NACKS: Final = (ControlIndex.NACK_BITMASK, ControlIndex.NACK_RANGE)
_PARITIES: Final = range(ControlIndex.FEC_2022_5_ROW, ControlIndex.FEC_2022_1_COLUMN + 1)

# What a stranger to the key may say: it moves nothing but packets that were sent already, or proves itself.
_HEEDED_IN_THE_CLEAR: Final = frozenset(
    {*_NACKS, ControlIndex.ECHO_REQUEST, ControlIndex.ECHO_RESPONSE, ControlIndex.LOGIN}
)


class ControlHearing:
    """The findings of some control packets of one peer."""

    __slots__ = (
        "_dropped",
        "attributes",
        "keepalives",
        "logins",
        "nonces",
        "parities",
        "said",
        "sense",
        "unknown",
    )

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self.said: list[say.Feedback] = []
        self.keepalives: list[Keepalive] = []
        self.attributes: list[str] = []
        self.logins: list[bytes] = []
        self.nonces: list[FutureNonce] = []
        self.parities: list[tuple[int, bytes]] = []
        self.unknown: list[Unsupported] = []
        """Messages that nobody defined, as the answer to them would have it."""
        self.sense = 0
        """How many could be understood, goodbyes not counted."""

    def hear(self, payload: Buffer, ssrc: int, *, is_trusted: bool) -> None:
        """Take in the payload of a control packet; without trust only what can do no harm."""
        try:
            index, body = decode_control(payload)
            if not is_trusted and index not in _HEEDED_IN_THE_CLEAR:
                self._dropped["control message in the clear on a session with a secret"] += 1
                return
            self._take(index, body, ssrc)
        except MalformedPacket as malformed:
            self._dropped[malformed.reason] += 1

    def _take(self, index: int, body: Buffer, ssrc: int) -> None:
        if index in _NACKS:
            self._take_nack(index, body)
        elif index == ControlIndex.ECHO_REQUEST:
            echo = Echo.decode(body)
            self.said.append(say.EchoRequest(echo.ssrc, echo.token, echo.padding[:_LONGEST_ECHO_PADDING]))
        elif index == ControlIndex.ECHO_RESPONSE:
            echo = Echo.decode(body)
            self.said.append(say.EchoResponse(echo.ssrc, echo.token, echo.held_for))
        elif index == ControlIndex.KEEPALIVE:
            keepalive = decode_keepalive(body)
            self.keepalives.append(keepalive)
            if Capability.DISCONNECT in keepalive.capabilities:
                self.said.append(say.Goodbye(0))
                return
        elif index == ControlIndex.FLOW_ATTRIBUTE:
            self.attributes.append(decode_text(body))
        elif index == ControlIndex.LOGIN:
            self.logins.append(bytes(body))
        elif index == ControlIndex.FUTURE_NONCE:
            self.nonces.append(FutureNonce.decode(body))
        elif index in _PARITIES:
            self.parities.append((index, bytes(body)))
        elif index == ControlIndex.LINK_QUALITY:
            self.said.append(say.LinkQualityReport(ssrc, LinkQuality.decode(body)))
        elif index == ControlIndex.LINK_QUALITY_OF_PATH:
            LinkQuality.decode(
                body
            )  # advice is for the stream, and what all links together do is said as well
        elif index == ControlIndex.UNSUPPORTED:
            Unsupported.decode(body)
            self._dropped["peer does not know a control message of ours"] += 1
        elif is_vendors(index):
            self._dropped["control message of some vendor's own"] += 1
        else:
            self._dropped["unknown control message"] += 1
            self.unknown.append(Unsupported(ssrc, index, bytes(body[:6])))
        self.sense += 1

    def _take_nack(self, index: int, body: Buffer) -> None:
        nack = AdvancedNack.decode(index, body)
        sequences, truncated = nack.expand()
        if truncated:
            self._dropped["request for too many packets, cut short"] += 1
        self.said.append(say.RepeatRequest(nack.ssrc, sequences, 32))
