"""The other end of a session."""

from __future__ import annotations

import pytest

from terzetto.primitives.datagrams import Address
from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.events import PeerConnected, PeerLost, PeerMoved, StrangerIgnored
from terzetto.rist.options import RistOptions
from tests.rist.core.pair import entropy

MS = 1000
ADDRESS = Address("192.0.2.1", 6001)
FEEDBACK = 1


def made(settings: Settings, wall_clock_offset: int, luck: int) -> Peer:
    return Peer(
        settings,
        ssrc=2,
        wall_clock_offset=wall_clock_offset,
        remote=None,
        translator=SimpleTranslator(payload_type=33, nack_type="range"),
        entropy=entropy(luck),
    )


def fresh(**options: object) -> Peer:
    settings = Settings.of(RistOptions(**options))  # type: ignore[arg-type]
    return made(settings, 1_700_000_000_000_000, 5)


def connected() -> Peer:
    peer = fresh()
    peer.admit(ADDRESS, FEEDBACK, now=0)
    peer.handle(say.Description(9, "studio"), now=0)
    peer.announce()
    assert peer.poll_events() == [PeerConnected(ADDRESS, "studio")]
    return peer


def request_in(said: list[say.Feedback]) -> say.EchoRequest:
    [request] = [each for each in said if isinstance(each, say.EchoRequest)]
    return request


def test_every_compound_begins_with_a_report_and_our_name() -> None:
    peer = fresh(cname="booth")
    for said in (
        peer.preamble(),
        peer.source_report(timestamp=1, packets=2, octets=3, now=0),
        peer.reception_report(None, now=0),
    ):
        assert isinstance(said[0], (say.SourceReport, say.ReceptionReport))
        assert said[1] == say.Description(2, "booth")


def test_a_peer_is_announced_once_and_again_when_it_comes_back() -> None:
    peer = connected()
    peer.announce()
    assert peer.poll_events() == []
    assert peer.expire(2000 * MS)
    assert peer.poll_events() == [PeerLost(ADDRESS, 2.0)]
    peer.admit(ADDRESS, FEEDBACK, now=3000 * MS)
    peer.announce()
    assert [type(event) for event in peer.poll_events()] == [PeerConnected]


def test_an_echo_comes_back_exactly_as_it_came() -> None:
    answers = connected().handle(say.EchoRequest(0xDEAD, 0xFFFF_FFFF_FFFF_FFFF, b"padding!"), now=0)
    assert answers == [say.EchoResponse(0xDEAD, 0xFFFF_FFFF_FFFF_FFFF, 0, b"padding!")]


def test_a_flood_of_echoes_is_answered_a_few_times_a_report() -> None:
    peer = connected()
    answered = [bool(peer.handle(say.EchoRequest(1, n), now=n)) for n in range(1000)]
    assert sum(answered) == 20
    peer.source_report(timestamp=0, packets=0, octets=0, now=100 * MS)
    assert peer.handle(say.EchoRequest(1, 1), now=100 * MS)


def test_our_echo_measures_only_when_it_comes_back_under_our_number() -> None:
    peer = connected()
    request = request_in(peer.echo_request(0))
    peer.handle(say.EchoResponse(request.ssrc ^ 1, request.token, 0), now=30 * MS)
    assert not peer.round_trip.is_measured
    peer.handle(say.EchoResponse(request.ssrc, request.token ^ 1, 0), now=30 * MS)
    assert not peer.round_trip.is_measured
    peer.handle(say.EchoResponse(request.ssrc, request.token, 10 * MS), now=40 * MS)
    assert peer.round_trip.last == 30 * MS


def test_tokens_cannot_be_guessed_from_the_time() -> None:
    first, second = (
        fresh(),
        made(Settings.of(RistOptions()), 0, 77),
    )
    assert request_in(first.echo_request(5)).token != request_in(second.echo_request(5)).token


def test_a_peer_without_echo_is_asked_three_times() -> None:
    peer = connected()
    asked = [bool(peer.echo_request(n * 100 * MS)) for n in range(20)]
    assert sum(asked) == 3
    peer.handle(say.EchoRequest(1, 1), now=2000 * MS)
    assert peer.echo_request(2000 * MS)


def test_without_echo_the_sender_measures_by_reception_reports() -> None:
    peer = connected()
    report = peer.source_report(timestamp=0, packets=0, octets=0, now=0)[0]
    assert isinstance(report, say.SourceReport)
    middle = report.ntp >> 16 & 0xFFFF_FFFF
    held = 65_536 // 10
    peer.handle(say.ReceptionReport(9, 2, last_report=middle, since_last_report=held), now=160 * MS)
    assert peer.round_trip.last == pytest.approx(60 * MS, abs=20)


def test_a_receiver_says_when_it_heard_the_last_report() -> None:
    peer = connected()
    peer.handle(say.SourceReport(9, 0x0000_ABCD_1234_0000, 0, 0, 0), now=1000 * MS)
    said = peer.reception_report(say.ReceptionReport(0, 9), now=1500 * MS)[0]
    assert isinstance(said, say.ReceptionReport)
    assert (said.ssrc, said.last_report, said.since_last_report) == (2, 0xABCD_1234, 32_768)


def test_without_echo_the_receiver_measures_by_its_own_time() -> None:
    receiver, sender = connected(), connected()
    [time] = [each for each in receiver.reception_report(None, now=0) if isinstance(each, say.ReceiverTime)]
    sender.handle(time, now=25 * MS)
    said = sender.source_report(timestamp=0, packets=0, octets=0, now=125 * MS)
    [answer] = [each for each in said if isinstance(each, say.ReceiverTimeAnswer)]
    receiver.handle(answer, now=150 * MS)
    assert receiver.round_trip.last == pytest.approx(50 * MS, abs=20)


def test_with_echo_there_is_no_need_for_receiver_time() -> None:
    peer = connected()
    request = request_in(peer.echo_request(0))
    peer.handle(say.EchoResponse(request.ssrc, request.token, 0), now=10 * MS)
    kinds = [type(each) for each in peer.reception_report(None, now=100 * MS)]
    assert say.ReceiverTime not in kinds
    assert say.EchoRequest in kinds


def test_a_goodbye_ends_the_session_at_once() -> None:
    peer = connected()
    peer.handle(say.Goodbye(9), now=10)
    assert peer.poll_events() == [PeerLost(ADDRESS, 0.0)]
    assert not peer.is_connected
    assert peer.admit(Address("203.0.113.5", 9), FEEDBACK, now=11)


def test_what_one_peer_could_is_not_expected_of_the_next() -> None:
    peer = connected()
    request = request_in(peer.echo_request(0))
    peer.handle(say.EchoResponse(request.ssrc, request.token, 0), now=300 * MS)
    peer.handle(say.Goodbye(9), now=400 * MS)
    assert not peer.round_trip.is_measured
    assert not peer.round_trip.echo_spoken


def test_strangers_and_moves_are_told() -> None:
    peer = connected()
    stranger, moved = Address("203.0.113.5", 1), ADDRESS._replace(port=7001)
    assert not peer.admit(stranger, FEEDBACK, now=1)
    assert peer.admit(moved, FEEDBACK, now=400 * MS)
    assert peer.poll_events() == [StrangerIgnored(stranger, ADDRESS), PeerMoved(moved, ADDRESS)]
