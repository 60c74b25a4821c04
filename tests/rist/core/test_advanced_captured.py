"""Datagrams that ristgo (66ce850, of June 2026) sent us in the Advanced profile, as we took them off the wire."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_hearing import ControlHearing
from terzetto.rist.core.advanced_media import media_from_run
from terzetto.rist.core.advanced_opener import AdvancedOpener
from terzetto.rist.core.advanced_timeline import ReceiveTimeline
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.core.psk_receiver import PskReceiver
from terzetto.rist.core.vocabulary import EchoRequest, Media, RepeatRequest
from terzetto.rist.wire.advanced_control import FutureNonce
from terzetto.rist.wire.advanced_header import AdvancedHeader, PskMode, decode_run
from terzetto.rist.wire.keepalive import Capability, Keepalive

FILE = Path(__file__).parents[1] / "wire" / "data" / "ristgo_66ce850_advanced.hex"

CAPTURED: dict[str, list[bytes]] = {}
for line in FILE.read_text().splitlines():
    name, text = line.split()
    CAPTURED.setdefault(name, []).append(bytes.fromhex(text))


def media(
    datagrams: list[bytes], *, secret: bytes | None, key_bits: int = 128, mode: PskMode = PskMode.CTR
) -> list[Media]:
    dropped: Counter[str] = Counter()
    opener = AdvancedOpener(PskReceiver(secret, now=0), mode=mode, key_bits=key_bits, now=0)
    told: list[Media] = []
    timeline: ReceiveTimeline | None = None
    for run in decode_run(datagrams, dropped):
        timeline = timeline or ReceiveTimeline(run.header.ssrc)
        chosen, bodies = opener.open_run(run, now=0)
        if bodies:
            told += media_from_run(
                chosen,
                bodies,
                timeline,
                by_arrival=True,
                now=1000,
                dropped=dropped,
                counters=AdvancedCounters(),
            )
    assert not dropped + opener.dropped
    return told


def test_a_direct_payload_in_the_clear() -> None:
    ((_, time, payload, is_repeat),) = media(CAPTURED["clear"], secret=None)
    assert (len(payload), payload[0], time, is_repeat) == (1316, 0x47, 1000, False)
    header = AdvancedHeader.decode(CAPTURED["clear"][0])
    # The virtual ports of the Main profile stand in for a flow id.
    assert header.flow_id == 1968 << 16 | 0x07B << 8 | 0x30


def test_counter_mode_with_a_long_key() -> None:
    ((_, _, payload, _),) = media(CAPTURED["ctr_256"], secret=b"hushhush", key_bits=256)
    assert payload[:188:188] == b"\x47"
    assert len(payload) == 1316


def test_compressed_and_enciphered_payloads_and_their_repeat() -> None:
    told = media([*CAPTURED["direct"], *CAPTURED["repeat"]], secret=b"hushhush")
    first, second, repeat = told
    assert len(first[2]) == 1316
    assert second[0] == first[0] + 1
    assert repeat[3]
    originals = {packet[0]: packet[2] for packet in (first, second)}
    assert originals.get(repeat[0], repeat[2]) == repeat[2]


def heard(datagrams: list[bytes]) -> ControlHearing:
    hearing = ControlHearing(Counter())
    for run in decode_run(datagrams, Counter()):
        for body in run.bodies():
            hearing.hear(body, run.header.ssrc, is_trusted=True)
    return hearing


def test_its_control_messages() -> None:
    controls: list[bytes] = []
    for kind in ("keepalive", "echo_request", "nack_range", "future_nonce", "flow_attribute"):
        controls += CAPTURED[kind]
    hearing = heard(controls)
    assert hearing.sense == 5
    assert hearing.keepalives == [Keepalive(bytes(6), Capability.ADVANCED, has_word=True)]
    echo, nack = hearing.said
    assert isinstance(echo, EchoRequest)
    assert isinstance(nack, RepeatRequest)
    assert nack.sequences == [10]
    assert [type(nonce) for nonce in hearing.nonces] == [FutureNonce]
    assert hearing.nonces[0].key_bits in (128, 256)
    assert hearing.attributes == ['{"sessions":[]}']


SEALED = [
    ("gcm_256", PskMode.GCM),
    ("chacha20", PskMode.CHACHA20),
    # With a key for the hash that is derived from the cipher's.
    ("ctr_hmac_256", PskMode.CTR_HMAC),
]


@pytest.mark.parametrize(("name", "mode"), SEALED)
def test_what_ristgos_seals_sealed(name: str, mode: PskMode) -> None:
    """An original and a repeat; ristgo's cipher and framing did the sealing, between its own sender and us."""
    original, repeat = media(CAPTURED[name], secret=b"hushhush", key_bits=256, mode=mode)
    for packet in (original, repeat):
        assert len(packet[2]) == 1316
        assert packet[2][::188] == b"\x47" * 7
    assert [original[3], repeat[3]] == [False, True]


@pytest.mark.parametrize(("name", "mode"), SEALED)
def test_a_bit_that_was_turned_over_is_noticed(name: str, mode: PskMode) -> None:
    opener = AdvancedOpener(PskReceiver(b"hushhush", now=0), mode=mode, key_bits=256, now=0)
    datagram = CAPTURED[name][0]
    # Of the header, the flow id, the hash, the IV and the payload.
    for place in (7, 17, 25, 43, 700):
        altered = datagram[:place] + bytes([datagram[place] ^ 1]) + datagram[place + 1 :]
        for run in decode_run([altered], Counter()):
            assert opener.open_run(run, now=0)[1] == []
    for run in decode_run([datagram], Counter()):
        assert len(opener.open_run(run, now=0)[1]) == 1


@pytest.mark.parametrize(("name", "mode"), SEALED)
def test_control_messages_that_are_sealed(name: str, mode: PskMode) -> None:
    opener = AdvancedOpener(PskReceiver(b"hushhush", now=0), mode=mode, key_bits=256, now=0)
    hearing = ControlHearing(Counter())
    for run in decode_run(list(CAPTURED[f"{name}_control"]), Counter()):
        chosen, bodies = opener.open_run(run, now=0)
        for body in bodies:
            hearing.hear(body, chosen.header.ssrc, is_trusted=True)
    assert hearing.sense == 2
    assert Capability.ADVANCED in hearing.keepalives[0].capabilities


def test_nothing_of_it_is_taken_where_the_secret_is_another() -> None:
    opener = AdvancedOpener(PskReceiver(b"another", now=0), mode=PskMode.CTR, key_bits=128, now=0)
    datagrams: list[Buffer] = [*CAPTURED["direct"], *CAPTURED["ctr_256"]]
    for run in decode_run(datagrams, Counter()):
        assert opener.open_run(run, now=0)[1] == []
