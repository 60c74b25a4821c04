"""Frozen snapshots of what a RIST session counted.

Three words are kept apart everywhere: **lost** is what the network lost, **recovered** what came back in time,
**unrecovered** what did not; ``lost == recovered + unrecovered``. `as_librist` tells the same in the words and the
shape that libRIST's statistics callback prints, for tools that read those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from terzetto.rist.wire.link_quality import LinkQuality

__all__ = [
    "Json",
    "RistAdvancedStatistics",
    "RistPeerStatistics",
    "RistReceiverStatistics",
    "RistSenderStatistics",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@attrs.frozen(kw_only=True)
class RistAdvancedStatistics:
    """What the Advanced profile did with one peer, while both of its forms are spoken."""

    active: bool = False
    """Whether what we send has the Advanced form now; else it is Main's."""
    cipher: str = ""
    """How what we send in that form is enciphered: as the option ``cipher`` says it; empty in the clear."""
    peer_can: tuple[str, ...] = ()
    """What the peer's keepalives announce: of ``advanced``, ``compression`` and ``fragmentation``."""
    quirks: tuple[str, ...] = ()
    """Departures from the specification that we make for this peer."""
    fallbacks: int = 0
    """How often nothing came in the Advanced form, and we went back to Main."""
    compressed: int = 0
    """Payloads that were sent compressed."""
    compression_saved: int = 0
    """Bytes that this spared."""
    decompressed: int = 0
    """Payloads that came compressed and could be read, copies and repeats included."""
    fragmented: int = 0
    """Payloads that were sent in fragments."""
    fragments_sent: int = 0
    units: int = 0
    """Payloads that were put together of fragments."""
    fragments_wasted: int = 0
    """Fragments that were no use, because others of their payload never came."""
    control_sent: int = 0
    """Datagrams of control messages."""
    control_received: int = 0


@attrs.frozen(kw_only=True)
class RistPeerStatistics:
    """What passed between us and one peer."""

    address: str = ""
    cname: str = ""
    connected: bool = False
    round_trip: float = 0.0
    """Smoothed, in seconds; the assumed minimum before the first measurement."""
    last_round_trip: float = 0.0
    round_trip_measured: bool = False
    path: int = 0
    """Which of the flow's paths leads there."""
    weight: int = 0
    """The path's share of the load; with none it carries everything."""
    media_received: int = 0
    """Media packets that came from there, copies included."""
    repeats_received: int = 0
    """Those of them that answered a request, where several paths are compared."""
    media_sent: int = 0
    """Originals sent there."""
    media_bytes_sent: int = 0
    repeats_sent: int = 0
    requests: int = 0
    """Sequences that were asked for over this path, by whichever side receives."""
    feedback_received: int = 0
    feedback_sent: int = 0
    strangers_ignored: int = 0
    """Datagrams from addresses that the session does not belong to."""
    username: str = ""
    """Who the peer proved to be; empty where it needed no login."""
    authenticated: bool = False
    """Whether media may flow: the peer has proved what it had to prove."""
    encrypted: bool = False
    """Whether what we send is enciphered."""
    key_rotations: int = 0
    """New keys of what we send, since the peer came."""
    advanced: RistAdvancedStatistics | None = None
    """What only the Advanced profile has; None in the others."""


@attrs.frozen(kw_only=True)
class RistSenderStatistics:
    """What a sender did."""

    flow_id: int
    sent: int
    """Original packets."""
    sent_bytes: int
    withheld: int
    """Payloads dropped because no receiver was connected."""
    retransmitted: int
    retransmitted_bytes: int
    rescued: int
    """Packets that a path which fell silent had been given, sent again by others unasked."""
    requested: int
    """Sequences that receivers asked for, each time counted."""
    over_the_limit: int
    """Of these, not looked at because one request named too many."""
    not_found: int
    too_old: int
    exhausted: int
    suppressed: int
    bandwidth_skipped: int
    tail_probes: int
    fec_sent: int
    """Parities, which count nowhere else."""
    fec_sent_bytes: int
    bitrate: float
    """Media, bits a second."""
    retry_bitrate: float
    advised_bitrate: int | None
    """What the encoder should send, bits a second; None without adaptation."""
    link_quality: LinkQuality | None
    """The receiver's newest link quality message, where adaptation is on and one came."""
    history: int
    """Packets remembered."""
    dropped: Mapping[str, int]
    """Datagrams that could not be understood, by reason."""
    batches_shed: int
    """Batches dropped because the socket stayed full."""
    peer: RistPeerStatistics
    """The peer; of several paths the nearest that is connected."""
    paths: tuple[RistPeerStatistics, ...] = ()
    """Each path of the flow."""

    @property
    def quality(self) -> float:
        """Per cent of what was sent that was sent for the first time."""
        return _quality(self.sent, self.retransmitted)

    def as_dict(self) -> dict[str, Json]:
        """Our words, ready for JSON."""
        return {
            **attrs.asdict(self),
            "paths": [attrs.asdict(path) for path in self.paths],
            "dropped": dict(self.dropped),
            "quality": self.quality,
        }

    def as_librist(self) -> dict[str, Json]:
        """libRIST's words, its units, its one JSON object; counters run on, where libRIST's begin anew each time.

        Of one path it is libRIST's ``peer``, of several its ``peers`` (of 0.2.15 and later).
        """
        if len(self.paths) < 2:
            return {
                "sender-stats": {
                    "peer": self._librist_peer(
                        self.peer,
                        quality=self.quality,
                        sent=self.sent,
                        retransmitted=self.retransmitted,
                        share=1.0,
                    )
                }
            }
        peers: list[Json] = [
            self._librist_peer(
                path,
                quality=_quality(path.media_sent, path.repeats_sent),
                sent=path.media_sent,
                retransmitted=path.repeats_sent,
                share=path.media_sent / max(self.sent, 1),
            )
            for path in self.paths
        ]
        return {"sender-stats": {"peers": peers}}

    def _librist_peer(
        self, path: RistPeerStatistics, *, quality: float, sent: int, retransmitted: int, share: float
    ) -> dict[str, Json]:
        return {
            "flow_id": self.flow_id,
            "id": path.path + 1,
            "cname": path.cname,
            "type": "data",
            "stats": {
                "quality": quality,
                "sent": sent,
                "received": path.feedback_received,
                "retransmitted": retransmitted,
                "bandwidth": int(self.bitrate * share),
                "retry_bandwidth": int(self.retry_bitrate * retransmitted / max(self.retransmitted, 1)),
                "bandwidth_skipped": self.bandwidth_skipped,
                "bloat_skipped": 0,
                "retransmit_skipped": self.suppressed,
                "rtt": path.last_round_trip * 1000,
                "avg_rtt": path.round_trip * 1000,
                "retry_buffer_size": self.history,
                "cooldown_time": 0,
            },
        }


def _quality(first: int, again: int) -> float:
    return 100.0 * first / (first + again) if first + again else 100.0


@attrs.frozen(kw_only=True)
class RistReceiverStatistics:
    """What a receiver saw, mended and handed out."""

    flow_id: int | None
    received: int
    """Media packets that arrived, repeats and duplicates included."""
    received_bytes: int
    received_retransmissions: int
    delivered: int
    lost: int
    recovered: int
    fec_recovered: int
    """Those of them that forward error correction gave back, without a repeat."""
    fec_received: int
    """Parities."""
    recovered_after: tuple[int, int, int, int, int]
    """Recovered after one, two, three, four, and more requests."""
    unrecovered: int
    reordered: int
    duplicates: int
    too_late: int
    dropped_full: int
    missing: int
    """Gaps that were noticed, some of which only reordering."""
    missing_now: int
    missing_high_water: int
    missing_limit: int
    """As many may be missed at once; a longer gap is only counted."""
    requests: int
    """Sequences asked for, each time counted."""
    resets: int
    clock_resyncs: int
    buffer: float
    """Recovery buffer in force, seconds."""
    buffer_time: float
    """How long packets wait in it, seconds."""
    waiting: int
    """Packets in the recovery buffer now."""
    spacing_min: float
    spacing: float
    spacing_max: float
    bitrate: int
    """Bits a second over the last second or so."""
    shed: int
    """Packets dropped because the application read too slowly."""
    dropped: Mapping[str, int]
    """Datagrams that could not be understood, by reason."""
    peer: RistPeerStatistics
    """The peer; of several paths the nearest that is connected."""
    paths: tuple[RistPeerStatistics, ...] = ()
    """Each path of the flow."""

    @property
    def quality(self) -> float:
        """Per cent of the packets that are neither missing now nor lost for good."""
        everything = self.delivered + self.unrecovered
        return 100.0 * self.delivered / everything if everything else 100.0

    def as_dict(self) -> dict[str, Json]:
        """Our words, ready for JSON."""
        return {
            **attrs.asdict(self),
            "paths": [attrs.asdict(path) for path in self.paths],
            "recovered_after": list(self.recovered_after),
            "dropped": dict(self.dropped),
            "quality": self.quality,
        }

    def as_librist(self) -> dict[str, Json]:
        """libRIST's words and units, both of its JSON objects in one; counters run on.

        libRIST's *lost* is what was not recovered, and its *missing_queue_max* a limit.
        """
        one, two, three, four, more = self.recovered_after
        return {
            "receiver-stats": {
                "flowinstant": {
                    "flow_id": self.flow_id or 0,
                    "dead": int(not self.peer.connected),
                    "stats": {
                        "quality": self.quality,
                        "received": self.received,
                        "dropped_late": self.too_late,
                        "dropped_full": self.dropped_full,
                        "missing": self.missing,
                        "recovered_total": self.recovered,
                        "reordered": self.reordered,
                        "retries": self.requests,
                        "recovered_one_nack": one,
                        "recovered_two_nacks": two,
                        "recovered_three_nacks": three,
                        "recovered_four_nacks": four,
                        "recovered_more_nacks": more,
                        "lost": self.unrecovered,
                        "avg_buffer_time": int(self.buffer_time * 1000),
                        "duplicates": self.duplicates,
                        "missing_queue": self.missing_now,
                        "missing_queue_max": self.missing_limit,
                        "min_inter_packet_spacing": int(self.spacing_min * 1e6),
                        "cur_inter_packet_spacing": int(self.spacing * 1e6),
                        "max_inter_packet_spacing": int(self.spacing_max * 1e6),
                        "bitrate": self.bitrate,
                    },
                    "peers": [self._librist_peer(path) for path in self.paths or (self.peer,)],
                }
            },
            "flow_cumulative_stats": {
                "flow_id": self.flow_id or 0,
                "received": self.received,
                "recovered": self.recovered,
                "lost": self.unrecovered,
            },
        }

    def _librist_peer(self, path: RistPeerStatistics) -> dict[str, Json]:
        # Only the flow's bit rate is measured: each path is given the share that it brought.
        brought = path.media_received / max(sum(each.media_received for each in self.paths), 1)
        bitrate = int(self.bitrate * brought) if len(self.paths) > 1 else self.bitrate
        return {
            "id": path.path + 1,
            "dead": int(not path.connected),
            "stats": {
                "received_data": path.media_received,
                "received_rtcp": path.feedback_received,
                "sent_rtcp": path.feedback_sent,
                "rtt": path.last_round_trip * 1000,
                "avg_rtt": path.round_trip * 1000,
                "bitrate": bitrate,
                "avg_bitrate": bitrate,
            },
        }
