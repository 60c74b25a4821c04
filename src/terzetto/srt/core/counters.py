"""What statistics are made of: plain numbers that the hot paths add to, a batch at a time."""

from __future__ import annotations

__all__ = ["Counters"]


class Counters:
    """Totals since the connection began. Bytes include 44 of headers per packet, as libsrt counts them."""

    __slots__ = (
        "acks_received",
        "acks_sent",
        "belated",
        "belated_time",
        "bytes_dropped_by_sender",
        "bytes_received",
        "bytes_received_unique",
        "bytes_retransmitted",
        "bytes_sent",
        "bytes_sent_unique",
        "bytes_undecrypted",
        "drop_requests_received",
        "drop_requests_sent",
        "dropped_by_sender",
        "duplicates",
        "filter_lost",
        "filter_rebuilt",
        "filter_received",
        "filter_sent",
        "lost",
        "lost_reported_by_peer",
        "malformed",
        "naks_received",
        "naks_sent",
        "no_room",
        "received",
        "received_unique",
        "recovered",
        "reorder_distance",
        "retransmissions_received",
        "retransmitted",
        "sending_micros",
        "sent",
        "sent_unique",
        "skipped",
        "undecrypted",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.malformed: dict[str, int] = {}

    acks_received: int
    acks_sent: int
    belated: int
    belated_time: int
    bytes_dropped_by_sender: int
    bytes_received: int
    bytes_received_unique: int
    bytes_retransmitted: int
    bytes_sent: int
    bytes_sent_unique: int
    bytes_undecrypted: int
    drop_requests_received: int
    drop_requests_sent: int
    dropped_by_sender: int
    duplicates: int
    filter_lost: int
    filter_rebuilt: int
    filter_received: int
    filter_sent: int
    lost: int
    lost_reported_by_peer: int
    malformed: dict[str, int]
    naks_received: int
    naks_sent: int
    no_room: int
    received: int
    received_unique: int
    recovered: int
    reorder_distance: int
    retransmissions_received: int
    retransmitted: int
    sending_micros: int
    sent: int
    sent_unique: int
    skipped: int
    undecrypted: int

    def count_malformed(self, reason: str) -> None:
        """A datagram was dropped for *reason*, one of a few constant phrases."""
        self.malformed[reason] = self.malformed.get(reason, 0) + 1
