"""The vocabulary as control messages of the Advanced profile; what there are none for belongs into the tunnel."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.advanced_counting import Counting
from terzetto.rist.core.advanced_link import AdvancedLink
from terzetto.rist.core.rtcp_translation import NackType
from terzetto.rist.core.vocabulary import Feedback
from terzetto.rist.quirks import Quirk
from terzetto.rist.wire.advanced_control import ControlIndex, Echo
from terzetto.rist.wire.advanced_nack import RECORDS_SENT, nacks_for

__all__ = ["Speech", "says_nothing"]


class Speech:
    """Who we are in control messages, and how things are said in them."""

    def __init__(self, ssrc: int, *, has_tunnel: bool) -> None:
        self.ssrc = ssrc | 1
        """A number of our own, until the flow has one."""
        self._has_tunnel = has_tunnel
        self._echo_ssrc = 0

    def messages(
        self, thing: Feedback, link: AdvancedLink, counting: Counting, nack_type: NackType
    ) -> list[tuple[int, bytes]] | None:
        """Index and body of the messages that say it; None where it belongs into the tunnel."""
        quirks = link.quirks
        if self._has_tunnel and not link.reads_control:
            return None
        if isinstance(thing, say.RepeatRequest):
            return self._nacks(thing, link, counting, nack_type)
        if not link.is_active or (Quirk.NO_ECHO in quirks and self._has_tunnel):
            return None
        if isinstance(thing, say.LinkQualityReport):
            return [(ControlIndex.LINK_QUALITY, thing.quality.encode())]
        if isinstance(thing, say.EchoRequest):
            self._echo_ssrc = thing.ssrc
            return [(ControlIndex.ECHO_REQUEST, Echo(self.ssrc, thing.token, 0, thing.padding).encode())]
        if isinstance(thing, say.EchoResponse):
            answer = Echo(thing.ssrc, thing.token, thing.held_for, thing.padding)
            return [(ControlIndex.ECHO_RESPONSE, answer.encode())]
        return None

    def _nacks(
        self, request: say.RepeatRequest, link: AdvancedLink, counting: Counting, nack_type: NackType
    ) -> list[tuple[int, bytes]] | None:
        timeline = counting.receiving
        if timeline is None or not counting.hears_advanced:
            return None
        nacks = nacks_for(
            request.ssrc,
            timeline.on_the_wire(request.sequences),
            as_bitmask=nack_type == "bitmask",
            max_records=1 if Quirk.ONE_NACK in link.quirks else RECORDS_SENT,
        )
        return [(nack.kind, nack.encode()) for nack in nacks]

    def understood(self, said: Feedback, link: AdvancedLink) -> Feedback | None:
        """A control message's words as the other profiles would have them; None where they are to be passed over."""
        if isinstance(said, say.EchoResponse):
            return said._replace(ssrc=self._echo_ssrc) if said.ssrc == self.ssrc else said
        if isinstance(said, say.EchoRequest) and Quirk.NO_ECHO in link.quirks:
            return None
        return said


def says_nothing(rest: Sequence[Feedback]) -> bool:
    """Whether it is only what opens a compound."""
    return all(
        isinstance(each, (say.Description, say.Hello))
        or (isinstance(each, say.ReceptionReport) and each.source is None)
        for each in rest
    )
