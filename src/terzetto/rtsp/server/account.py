"""What one reader was sent of one media.

Over TCP every batch is counted. Over UDP and multicast a stream is sent to all alike, with no work for each reader; so
what one of them was sent is what the stream counted while that one played.
"""

from __future__ import annotations

from attrs import evolve

from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.statistics import MediaSendStatistics, media_sent

__all__ = ["Account"]


class Account:
    """The account of one media of one reader."""

    __slots__ = ("_since", "bytes", "packets", "reported_lost", "reporter", "rtcp_packets", "sender")

    def __init__(self, sender: MediaSender) -> None:
        self.sender = sender
        self.bytes = 0
        self.packets = 0
        self.rtcp_packets = 0
        self.reported_lost = 0
        self.reporter: int | None = None
        self._since: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """From now on the reader is sent all that the stream is."""
        if self._since is None:
            self._since = self._stand()

    def end(self) -> None:
        """No more."""
        self.bytes, self.packets, self.rtcp_packets = self._total()
        self._since = None

    def statistics(self, media: int) -> MediaSendStatistics:
        """A snapshot."""
        size, packets, rtcp_packets = self._total()
        return evolve(
            media_sent(media, self.sender),
            bytes=size,
            packets=packets,
            rtcp_packets=rtcp_packets,
            reported_lost=self.reported_lost,
            remote_ssrc=self.reporter,
            formats=(),
        )

    def _stand(self) -> tuple[int, int, int]:
        return self.sender.bytes_sent, self.sender.packets, self.sender.reports

    def _total(self) -> tuple[int, int, int]:
        now = self._stand()
        since = self._since or now
        return (
            self.bytes + now[0] - since[0],
            self.packets + now[1] - since[1],
            self.rtcp_packets + now[2] - since[2],
        )
