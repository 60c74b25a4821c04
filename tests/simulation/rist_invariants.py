"""What must hold in every run of RIST, whatever the network does."""

from __future__ import annotations

from terzetto.net.simulated.trace import PacketRecord
from terzetto.rtp.header import FIXED_HEADER
from tests.simulation.rist_runs import Outcome

__all__ = ["check_invariants"]

# RIST's receivers have always given a packet a tenth of the buffer's length of grace.
GRACE = 1.1

# A tick of the reader, the five milliseconds between two rounds of requests, and rounding.
SLACK = 0.012


def check_invariants(outcome: Outcome, *, buffer: float, longest_delay: float) -> None:
    """Nothing twice, nothing out of order, nothing past its deadline, nothing lost that could have been saved."""
    numbers = [int.from_bytes(payload[:4], "big") for payload in outcome.payloads]
    assert len(set(numbers)) == len(numbers), "a packet was delivered twice"
    assert numbers == sorted(numbers), "packets were delivered out of order"
    _check_deadlines(outcome, numbers, buffer + longest_delay)
    _check_savable(outcome, set(numbers))
    _check_words(outcome)


def _check_deadlines(outcome: Outcome, numbers: list[int], patience: float) -> None:
    for number, at in zip(numbers, outcome.delivered_at, strict=True):
        delay = at - outcome.sent_at[number]
        assert delay <= patience * GRACE + SLACK, f"packet {number} was delivered after {delay:.3f} s"


def _check_savable(outcome: Outcome, delivered: set[int]) -> None:
    """A packet of which any copy reached the receiver while its buffer still waited for it must be delivered."""
    if not outcome.media:
        return
    first_arrival = min((arrival for record in outcome.media for arrival in record.arrivals), default=0)
    earliest_offset = first_arrival - outcome.media_sent_at[_sequence(_first(outcome.media))]
    for record in outcome.media:
        sequence = _sequence(record)
        if sequence in delivered or not record.arrivals:
            continue
        deadline = outcome.media_sent_at[sequence] + earliest_offset + outcome.buffer_micros
        in_time = [arrival for arrival in record.arrivals if arrival < deadline - SLACK * 1e6]
        assert not in_time, f"a copy of packet {sequence} came in time and was not delivered"


def _check_words(outcome: Outcome) -> None:
    receiver = outcome.receiver
    assert receiver.lost == receiver.recovered + receiver.unrecovered
    assert receiver.delivered == len(outcome.delivered)
    assert sum(packet.lost_before for packet in outcome.delivered) == receiver.unrecovered


def _first(media: list[PacketRecord]) -> PacketRecord:
    return min((record for record in media if record.arrivals), key=lambda record: min(record.arrivals))


def _sequence(record: PacketRecord) -> int:
    return int(FIXED_HEADER.unpack_from(record.datagram)[2])
