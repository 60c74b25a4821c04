"""One stream of numbered packets from a sender to a receiver on a simulated network, and what came of it."""

from __future__ import annotations

import random
from typing import Unpack

import attrs
import trio

from terzetto import RistPacket, open_rist_receiver, open_rist_sender
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.trace import PacketRecord
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.core.psk_keys import PskKey
from terzetto.rist.options import RistKnobs
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics
from terzetto.rist.wire.advanced_header import AdvancedHeader, PayloadType, looks_like_advanced
from terzetto.rist.wire.gre import EAPOL, GreHeader
from terzetto.rist.wire.virtual_ports import PORTS_SIZE, looks_like_report
from terzetto.rist.wire.vsf import TunnelContent, unwrap

__all__ = ["Outcome", "media_in_tunnel", "stream"]


@attrs.frozen(kw_only=True)
class Outcome:
    """What was sent when, what was delivered when, and both ends' statistics."""

    sent: list[bytes]
    sent_at: list[float]
    delivered: list[RistPacket]
    delivered_at: list[float]
    sender: RistSenderStatistics
    receiver: RistReceiverStatistics
    trace_hash: str
    media: list[PacketRecord]
    """Every media datagram, repeats included, as the network saw it."""
    media_sent_at: dict[int, int]
    """When each sequence first left, in microseconds of network time."""
    buffer_micros: int

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.delivered]


def media_in_tunnel(records: list[PacketRecord], knobs: RistKnobs) -> list[PacketRecord]:
    """The RTP packets of Main's datagrams; none where the key is the login's, which nobody can know."""
    if knobs.get("use_key_as_passphrase"):
        return []
    secret = knobs.get("secret")
    keys: dict[tuple[bytes, bool], PskKey] = {}
    media = []
    for record in records:
        header = GreHeader.decode(record.datagram)
        plain = record.datagram[header.size :]
        if header.protocol_type == EAPOL:
            continue
        if header.nonce is not None:
            assert secret is not None
            assert header.sequence is not None
            identity = header.nonce, header.wide_key
            if identity not in keys:
                keys[identity] = PskKey(secret.encode(), header.nonce, wide=header.wide_key)
            (plain,) = keys[identity].apply([header.sequence], [plain])
        content, body = unwrap(header.protocol_type, plain)
        packet = bytes(body[PORTS_SIZE:])
        if content is TunnelContent.DATA and not looks_like_report(packet):
            media.append(record._replace(datagram=packet))
    return media


def is_advanced_media(datagram: bytes) -> bool:
    """Whether a datagram is media of the Advanced profile: of the protected flow, and no control message."""
    if not looks_like_advanced(datagram):
        return False
    header = AdvancedHeader.decode(datagram)
    return not header.ssrc & 1 and header.kind == PayloadType.DIRECT


async def stream(
    seed: int,
    there: LinkConditions,
    back: LinkConditions | None = None,
    *,
    packets: int = 300,
    interval: float = 0.002,
    noise: int = 0,
    partition: tuple[float, float] | None = None,
    **knobs: Unpack[RistKnobs],
) -> Outcome:
    """Send *packets*, with *noise* bytes that cannot be compressed, and collect what arrives.

    *partition* is seconds after the handshake.
    """
    chance = random.Random(seed)
    knobs.setdefault("profile", "simple")
    network = SimulatedNetwork(seed)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, there, back)
    sent: list[bytes] = []
    sent_at: list[float] = []
    delivered: list[RistPacket] = []
    delivered_at: list[float] = []
    reports: list[RistSenderStatistics] = []
    with use_network(bob):
        async with open_rist_receiver("rist://@:5000", **knobs) as receiver, trio.open_nursery() as nursery:

            async def collect() -> None:
                while True:
                    batch = await receiver.receive_packets()
                    delivered.extend(batch)
                    delivered_at.extend([trio.current_time()] * len(batch))

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender("rist://bob:5000", **knobs) as sender:
                    await sender.wait_connected()
                    if partition is not None:
                        start, end = partition
                        began = network.elapsed() / 1e6
                        network.partition(alice, bob, began + start, began + end)
                    for number in range(packets):
                        payload = number.to_bytes(4, "big") * 16 + chance.randbytes(noise)
                        sent.append(payload)
                        sent_at.append(trio.current_time())
                        await sender.send_packet(payload)
                        await trio.sleep(interval)
                    reports.append(sender.statistics())
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        network.settle()
        media = [record for record in network.trace.packets if record.destination.port == 5000]
        if knobs.get("profile") == "advanced":
            media = [record for record in media if is_advanced_media(record.datagram)]
        if knobs.get("profile") == "main":
            media = media_in_tunnel(media, knobs)
        first_sent: dict[int, int] = {}
        for record in media:
            sequence = int.from_bytes(record.datagram[2:4], "big")
            first_sent.setdefault(sequence, record.at)
        return Outcome(
            media=media,
            media_sent_at=first_sent,
            buffer_micros=round(receiver.statistics().buffer * 1e6),
            sent=sent,
            sent_at=sent_at,
            delivered=delivered,
            delivered_at=delivered_at,
            sender=reports[0],
            receiver=receiver.statistics(),
            trace_hash=network.trace_hash(),
        )
