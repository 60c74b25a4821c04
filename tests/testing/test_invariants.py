"""The invariants of delivery are told apart, and told right."""

from __future__ import annotations

import pytest

from terzetto.net.simulated.trace import PacketRecord
from terzetto.primitives.datagrams import Address
from terzetto.testing.invariants import Delivered, DeliveryReport, Sent, check_delivery, examine_delivery
from terzetto.testing.promises import PromiseBroken

HERE, THERE = Address("10.0.0.1", 1), Address("10.0.0.2", 2)
LATENCY = 1000
SENT = [Sent(number, number * 100) for number in range(5)]
ON_TIME = [Delivered(number, number * 100 + LATENCY) for number in range(5)]


def packet(at: int, text: str, arrives: int | None = None, fate: str = "") -> PacketRecord:
    arrivals = () if arrives is None else (arrives,)
    return PacketRecord(
        at, "link", HERE, THERE, text.encode(), fate or ("passed" if arrivals else "lost"), arrivals
    )


def copies_in(datagram: bytes) -> list[int]:
    return [int(datagram[1:])] if datagram[:1] == b"d" else []


def requests_in(datagram: bytes) -> list[int]:
    return [int(datagram[1:])] if datagram[:1] == b"r" else []


def without(number: int, packets: list[PacketRecord], repair_round: int | None = 400) -> DeliveryReport:
    delivered = [payload for payload in ON_TIME if payload.identity != number]
    return examine_delivery(
        SENT,
        delivered,
        latency=LATENCY,
        packets=packets,
        copies_in=copies_in,
        requests_in=requests_in,
        repair_round=repair_round,
    )


def test_a_perfect_run_breaks_nothing() -> None:
    assert check_delivery(SENT, ON_TIME, latency=LATENCY).broken == {}


def test_each_sin_has_its_name() -> None:
    delivered = [
        Delivered(1, 1100),
        Delivered(0, 1100),
        Delivered(2, 1201),
        Delivered(2, 1201),
        Delivered(3, 1350),
        Delivered(99, 1400),
    ]
    report = examine_delivery(SENT, delivered, latency=LATENCY, margin=100)
    assert report.out_of_order == (0,)
    assert report.twice == (2,)
    assert report.late == ()
    assert report.never_sent == (99,)
    assert report.unrecovered == (4,)
    assert examine_delivery(SENT, delivered, latency=LATENCY, margin=10).late == (0, 3)
    with pytest.raises(PromiseBroken, match=r"delivered twice: 1, first \[2\]"):
        check_delivery(SENT, delivered, latency=LATENCY)


def test_what_arrived_in_time_must_be_delivered() -> None:
    assert without(2, [packet(200, "d2", arrives=1200)]).arrived_but_lost == (2,)
    assert without(2, [packet(200, "d2"), packet(900, "d2", arrives=1000)]).arrived_but_lost == (2,)


def test_what_arrived_late_or_mangled_could_not_be_saved() -> None:
    packets = [packet(200, "d2"), packet(500, "d2", arrives=1201), packet(700, "d2", 800, "corrupted")]
    report = without(2, packets, repair_round=None)
    assert report.arrived_but_lost == ()
    assert report.broken == {}
    assert report.unrecovered == (2,)


def test_giving_up_while_there_is_time_is_a_sin() -> None:
    # 1000 us of latency and 400 us a round: the original and two repairs.
    assert without(2, [packet(200, "d2"), packet(500, "d2")]).given_up == (2,)
    assert without(2, [packet(200, "d2"), packet(500, "d2"), packet(900, "d2")]).given_up == ()


def test_a_request_that_was_lost_counts_as_an_attempt() -> None:
    assert without(2, [packet(200, "d2"), packet(500, "r2"), packet(900, "r2")]).given_up == ()
    assert without(2, [packet(200, "d2"), packet(500, "r2", arrives=600)]).given_up == (2,)


def test_an_attempt_after_the_deadline_is_none() -> None:
    packets = [packet(200, "d2"), packet(500, "d2"), packet(1300, "d2")]
    assert without(2, packets).given_up == (2,)
