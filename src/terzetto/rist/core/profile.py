"""What a profile has to offer to senders and receivers: the translation between wire and vocabulary."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Protocol

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.counters import AdvancedState
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.rtcp_translation import NackType
from terzetto.rist.core.vocabulary import Feedback, FeedbackArrival, MediaArrival, ParityArrival
from terzetto.rist.events import RistEvent, RistPacket

__all__ = ["FEC_COLUMN", "FEC_OFFSETS", "FEC_ROW", "FEEDBACK", "MEDIA", "Admits", "Translator"]

MEDIA = 0
"""The channel, and so the endpoint, that media travels on."""

FEEDBACK = 1
"""The channel that reports and requests travel on, where the profile gives them one of their own."""

FEC_COLUMN = 2
"""The endpoint of parities of columns, two ports above the media; in Main, which has no `FEEDBACK`, the one before."""

FEC_ROW = 3
"""The endpoint of parities of rows, four ports above the media."""

FEC_OFFSETS = {FEC_COLUMN: 2, FEC_ROW: 4}
"""How far above the media's port each of them lies."""


class Admits(Protocol):
    """Asks the association, which is the authority, before a profile lets an address touch its state."""

    @property
    def is_alive(self) -> bool:
        """Whether the session belongs to somebody."""

    def may_speak(self, address: Address, *, now: Micros, datagrams: int) -> bool:
        """Whether so many datagrams from there may be looked at; strangers are counted."""


class Translator(Protocol):
    """One profile's dialect. It may hold state of the wire (keys, versions, logins), never of the flow.

    What a profile says on its own account, keepalives and logins, it times and addresses itself: the verbs are those
    of a core.
    """

    clock_rate: int
    """Ticks a second of the timestamps that we send; arrivals say their own."""
    sequence_bits: int
    nack_type: NackType
    """Which form of request to send; may change at any time."""
    tells_streams: bool
    """Whether payloads that arrive say which stream of a tunnel they are of; may change at any time."""

    @property
    def peer_splits(self) -> bool:
        """Whether the peer says that it sends every payload as two packets."""

    @property
    def sender_longest(self) -> Micros | None:
        """For how long the peer, a media sender, said that it can repeat; None where it did not say."""

    def tell_buffer(self, buffer: Micros) -> None:
        """Tell a media sender how long the recovery buffer is to be, where the profile has a word for it."""

    @property
    def pins_port(self) -> bool:
        """Whether a peer that is called answers from the very port that was called."""

    @property
    def may_move(self) -> bool:
        """Whether a silent peer may go on from another port."""

    @property
    def is_open(self) -> bool:
        """Whether media may flow: the peer has proved what it has to prove."""

    @property
    def username(self) -> str:
        """Who the peer proved to be, empty where nobody asked."""

    @property
    def is_enciphered(self) -> bool:
        """Whether what we send is."""

    @property
    def key_rotations(self) -> int:
        """How often what we send has got a new key."""

    def start(self, admits: Admits, *, now: Micros) -> None:
        """Begin; *admits* is the association."""

    def forget_peer(self, *, now: Micros) -> None:
        """The peer was lost, and whatever it had proved with it."""

    def close(self, *, now: Micros) -> None:
        """Say goodbye, where the profile has a word for it."""

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""

    def poll_control(self) -> list[Run]:
        """What the profile itself has to send."""

    def poll_events(self) -> list[RistEvent]:
        """What the user should know of keys and logins."""

    def check_payloads(self, payloads: Sequence[Buffer]) -> None:
        """Raise InvalidOption where one of them is too long to travel."""

    def prepare_media(self, payloads: Sequence[Buffer]) -> Sequence[Buffer]:
        """The payloads of packets that carry *payloads*: each of them counts, and is repeated, on its own."""

    def assemble(self, packets: list[RistPacket]) -> list[RistPacket]:
        """What the user gets of packets that leave the recovery buffer, in order."""

    def assemble_expedited(self, packets: list[RistPacket]) -> list[RistPacket]:
        """What the user gets of packets that are handed out before their turn."""

    def decode(
        self, runs: Sequence[Run], *, now: Micros
    ) -> list[MediaArrival | FeedbackArrival | ParityArrival]:
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

    def encode_parities(
        self, kind: int, packets: list[Buffer], media: Address
    ) -> tuple[Address, int, list[Buffer]]:
        """Where parities of that *kind* go, by which endpoint, and as what datagrams; they are RTP packets."""

    @property
    def fec_receiver(self) -> FecReceiver | None:
        """Who hears parities, where they are of what is on the wire, and so the profile's own business."""

    @property
    def parities_sent(self) -> tuple[int, int]:
        """How many of those have left, and their bytes."""

    @property
    def advanced_state(self) -> AdvancedState | None:
        """What only the Advanced profile has, None in the others."""

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """Datagrams that say all of it to one peer."""

    def feedback_address(self, media: Address) -> Address:
        """Where a peer that has *media* as its media address hears reports."""

    def media_address(self, feedback: Address) -> Address:
        """Where a peer that has *feedback* as its report address hears media."""

    @property
    def parity_paths(self) -> Container[int]:
        """The endpoints that bring nothing but parities."""

    @property
    def feedback_path(self) -> int:
        """The endpoint that reports leave by and arrive at."""

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams that could not be understood, by reason."""
