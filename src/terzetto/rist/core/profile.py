"""What a profile has to offer to senders and receivers: the translation between wire and vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.rtcp_translation import NackType
from terzetto.rist.core.vocabulary import Feedback, FeedbackArrival, MediaArrival

__all__ = ["FEEDBACK", "MEDIA", "Translator"]

MEDIA = 0
"""The channel, and so the endpoint, that media travels on."""

FEEDBACK = 1
"""The channel that reports and requests travel on, where the profile gives them one of their own."""


class Translator(Protocol):
    """One profile's dialect. It may hold state of the wire (keys, versions), never of the flow."""

    clock_rate: int
    """Ticks a second of the timestamps that we send; arrivals say their own."""
    sequence_bits: int
    nack_type: NackType
    """Which form of request to send; may change at any time."""

    def decode(self, runs: Sequence[Run], *, now: Micros) -> list[MediaArrival | FeedbackArrival]:
        """What *runs* say, in order; what cannot be understood is dropped and counted."""

    def encode_media(
        self,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool = False,
    ) -> list[Buffer]:
        """Datagrams for consecutive *payloads* that share a timestamp."""

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """Datagrams that say all of it to one peer."""

    def feedback_address(self, media: Address) -> Address:
        """Where a peer that has *media* as its media address hears reports."""

    def media_address(self, feedback: Address) -> Address:
        """Where a peer that has *feedback* as its report address hears media."""

    @property
    def feedback_path(self) -> int:
        """The endpoint that reports leave by and arrive at."""

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams that could not be understood, by reason."""
