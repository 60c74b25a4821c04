"""Parities of whole packets: what is rebuilt is what was on the wire, byte for byte."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.rist.core.advanced_fec import WireFec
from terzetto.rist.core.advanced_media import media_packets
from terzetto.rist.core.main import MainTranslator
from terzetto.rist.core.profile import FEC_COLUMN, FEC_ROW
from terzetto.rist.core.tunnel_reading import TunnelReading
from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.core.vocabulary import MediaArrival, ParityArrival
from terzetto.rist.fec import FecStandard, RistFec
from terzetto.rist.wire.advanced_control import ControlIndex
from terzetto.rist.wire.advanced_header import decode_run
from terzetto.rist.wire.gre import REDUCED

FLOW = 0x1234_5678


def datagrams(first: int, count: int) -> list[Buffer]:
    return media_packets(
        [bytes([number]) * (40 + number % 7) for number in range(count)],
        first_sequence=first,
        timestamp=5000,
        ssrc=FLOW,
        is_retransmission=False,
        with_descriptor=True,
        flow_id=b"",
        sealer=None,
    )


@pytest.mark.parametrize("standard", ["2022-1", "2022-5"])
@pytest.mark.parametrize("first", [0, 0x1_FFF0, 0xFFFF_FFF8])
def test_a_lost_packet_is_rebuilt_as_it_was(standard: FecStandard, first: int) -> None:
    fec = RistFec(columns=5, rows=4, standard=standard)
    ours, theirs = WireFec(fec), WireFec(fec)
    sent = datagrams(first, 40)
    lost = {7, 8, 9, 23}
    rebuilt: list[Buffer] = []
    for number, datagram in enumerate(sent):
        parities = ours.protect([datagram], first=first + number, timestamp=5000)
        if number not in lost:
            (run,) = decode_run([datagram], Counter())
            rebuilt += theirs.hear_media(run, now=number * 1000)
        rebuilt += theirs.hear_parities([(index, bytes(body)) for index, body in parities], now=number * 1000)
    assert set(map(bytes, rebuilt)) == {bytes(sent[number]) for number in lost}
    assert len(rebuilt) == len(lost)
    assert not theirs.receiver.dropped


def test_a_parity_of_the_other_standard_is_counted() -> None:
    fec = WireFec(RistFec(standard="2022-1"))
    assert fec.hear_parities([(ControlIndex.FEC_2022_5_ROW, bytes(60))], now=0) == []
    assert fec.receiver.dropped == {"parity of another standard than ours": 1}


@given(st.lists(st.tuples(st.sampled_from([0x20, 0x21, 0x22, 0x23]), st.binary(max_size=90)), max_size=8))
def test_whatever_a_stranger_calls_a_parity_does_no_harm(parities: list[tuple[int, bytes]]) -> None:
    fec = WireFec(RistFec(columns=5, rows=4))
    for run in decode_run(datagrams(100, 20), Counter()):
        fec.hear_media(run, now=0)
    for datagram in fec.hear_parities(parities, now=1):
        assert bytes(datagram[8:12]) == FLOW.to_bytes(4, "big")


def reading(ports: frozenset[bytes], *plains: bytes) -> TunnelReading:
    found = TunnelReading(Run(Address("192.0.2.1", 1), []), Counter(), ports)
    found.read(REDUCED, list(plains))
    return found


def test_in_the_tunnel_the_ports_tell_parities_from_media() -> None:
    media = bytes.fromhex("8001 07b0 8021 0001 00000000 12345678") + b"media"
    parity = bytes.fromhex("8001 07b2 8060 0001 00000000 00000000") + bytes(40)
    row = bytes.fromhex("8001 07b4 8060 0001 00000000 00000000") + bytes(40)
    found = reading(frozenset({b"\x07\xb2", b"\x07\xb4"}), parity, media, row)
    (parities, heard) = found.arrivals
    assert isinstance(parities, ParityArrival)
    assert parities.packets == [parity[4:], row[4:]]
    assert isinstance(heard, MediaArrival)
    assert [packet[2] for packet in heard.packets] == [b"media"]
    assert found.sense == 3

    unexpected = reading(frozenset(), parity, media)
    assert [type(arrival) for arrival in unexpected.arrivals] == [MediaArrival]


def test_a_parity_fits_wherever_its_payloads_do() -> None:
    plain, summed = (
        TunnelSettings(is_caller=True, is_media_sender=True),
        TunnelSettings(is_caller=True, is_media_sender=True, has_parities=True),
    )
    assert plain.longest_payload - summed.longest_payload == 16
    translator = MainTranslator(
        summed, payload_type=33, nack_type="range", entropy=bytes, remote=Address("192.0.2.1", 5000)
    )
    assert translator._parity_ports == {(1968 + 2).to_bytes(2, "big"), (1968 + 4).to_bytes(2, "big")}
    assert {FEC_COLUMN, FEC_ROW} == {2, 3}
