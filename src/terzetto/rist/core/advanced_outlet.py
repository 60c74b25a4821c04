"""Media on its way out: in the Advanced form what began in it, and parities over what is on the wire with it."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rist.core.advanced_counting import Counting
from terzetto.rist.core.advanced_fec import WireFec
from terzetto.rist.core.advanced_link import AdvancedLink
from terzetto.rist.core.advanced_pieces import Piece
from terzetto.rist.core.advanced_settings import AdvancedSettings

__all__ = ["Outlet"]


class Outlet:
    """Decides packet by packet which of the two forms it has."""

    def __init__(self, settings: AdvancedSettings, counting: Counting, fec: WireFec | None) -> None:
        self._begins_in_main = settings.substrate and not settings.at_once
        self._counting = counting
        self._fec = fec
        self._advanced_since: int | None = None
        self._newest_datagram: tuple[int, bytes] = (-1, b"")

    def forget_peer(self) -> None:
        """The next one has got nothing yet that could be sent again as it was."""
        self._newest_datagram = (-1, b"")

    def datagrams(
        self,
        link: AdvancedLink,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool,
        now: Micros,
    ) -> list[Buffer] | None:
        """Datagrams of the Advanced form; None where these packets have the Main form."""
        counting = self._counting
        if not link.is_active:
            self._advanced_since = None
        elif self._advanced_since is None:
            self._advanced_since = counting.newest_sent + 1 if self._begins_in_main else 0
        if not is_retransmission and first_sequence == self._newest_datagram[0]:
            # The end of the stream, once more: enciphered anew, it would not be what parities are the sum of.
            return [self._newest_datagram[1]]
        last_sequence = first_sequence + len(payloads) - 1
        counting.newest_sent = max(counting.newest_sent, last_sequence)
        # What went out in the Main profile is repeated in it: the receiver may know no other clock yet.
        if self._advanced_since is not None and first_sequence >= self._advanced_since:
            link.expect_answer(now)
            datagrams = link.media(
                payloads,
                first_sequence=first_sequence,
                timestamp=timestamp,
                flow_id=flow_id,
                is_retransmission=is_retransmission,
            )
            if self._fec is not None and not is_retransmission:
                self._newest_datagram = last_sequence, bytes(datagrams[-1])
                datagrams += _parities(self._fec, link, datagrams, first_sequence, flow_id | 1, now)
            return datagrams
        if any(isinstance(payload, Piece) and not payload.is_plain for payload in payloads):
            return []  # cut for a peer that was lost since; the one that came after it cannot take it
        return None


def _parities(
    fec: WireFec, link: AdvancedLink, datagrams: Sequence[Buffer], first: int, ssrc: int, now: Micros
) -> list[Buffer]:
    timestamp = int.from_bytes(datagrams[0][4:8], "big")
    return [
        datagram
        for index, body in fec.protect(datagrams, first=first, timestamp=timestamp)
        for datagram in link.control(index, body, ssrc=ssrc, now=now)
    ]
