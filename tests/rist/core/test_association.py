"""Who may speak to a session."""

from __future__ import annotations

import pytest

from terzetto.primitives.datagrams import Address
from terzetto.rist.core.association import Admission, Association

MEDIA, FEEDBACK = 0, 1
PEER = Address("192.0.2.1", 6000)
PEER_REPORTS = Address("192.0.2.1", 6001)
REBOUND = Address("192.0.2.1", 7000)
STRANGER = Address("198.51.100.9", 6000)


def fresh(host: str | None = None) -> Association:
    return Association(timeout=2_000_000, rebind_silence=300_000, host=host)


def test_the_first_to_speak_owns_the_session() -> None:
    association = fresh()
    assert association.admit(PEER, MEDIA, now=0) is Admission.FIRST
    assert association.admit(STRANGER, MEDIA, now=10) is Admission.STRANGER
    assert association.address(MEDIA) == PEER
    assert association.is_alive


def test_a_caller_listens_to_the_host_it_calls_and_to_nobody_else() -> None:
    association = fresh(host=PEER.host)
    assert association.admit(STRANGER, FEEDBACK, now=0) is Admission.STRANGER
    assert association.admit(PEER_REPORTS, FEEDBACK, now=1) is Admission.FIRST


def test_each_channel_has_its_own_address_on_the_same_host() -> None:
    association = fresh()
    association.admit(PEER_REPORTS, FEEDBACK, now=0)
    assert association.address(MEDIA) is None
    assert association.admit(PEER, MEDIA, now=1) is Admission.KNOWN
    assert (association.address(MEDIA), association.address(FEEDBACK)) == (PEER, PEER_REPORTS)


def test_another_port_of_the_host_does_not_take_over_while_the_old_one_speaks() -> None:
    association = fresh()
    association.admit(PEER, MEDIA, now=0)
    for now in range(100_000, 2_000_000, 100_000):
        assert association.admit(REBOUND, MEDIA, now=now) in (Admission.STRANGER, Admission.KNOWN_STRANGER)
        assert association.admit(PEER, MEDIA, now=now) is Admission.KNOWN
    assert association.address(MEDIA) == PEER


def test_another_port_takes_over_when_the_old_one_has_gone_quiet() -> None:
    association = fresh()
    association.admit(PEER, MEDIA, now=0)
    association.admit(PEER_REPORTS, FEEDBACK, now=0)
    assert association.admit(REBOUND, MEDIA, now=299_999) is Admission.STRANGER
    assert association.admit(REBOUND, MEDIA, now=300_000) is Admission.MOVED
    assert association.address(FEEDBACK) is None, "the old binding is void on every channel"


def test_another_host_never_takes_over_before_the_timeout() -> None:
    association = fresh()
    association.admit(PEER, MEDIA, now=0)
    assert association.admit(STRANGER, MEDIA, now=1_999_999) is Admission.STRANGER
    assert association.expire(1_999_999) is None
    assert association.expire(2_000_000) == 2_000_000
    assert association.admit(STRANGER, MEDIA, now=2_000_001) is Admission.FIRST


def test_strangers_do_not_keep_a_session_alive() -> None:
    association = fresh()
    association.admit(PEER, MEDIA, now=0)
    association.admit(STRANGER, MEDIA, now=1_900_000, datagrams=7)
    assert association.next_timeout() == 2_000_000
    assert association.strangers_ignored == 7


def test_a_called_host_keeps_its_place_when_it_is_lost() -> None:
    association = fresh(host=PEER.host)
    association.admit(PEER_REPORTS, FEEDBACK, now=0)
    assert association.expire(5_000_000) == 5_000_000
    assert association.next_timeout() is None
    assert association.admit(STRANGER, FEEDBACK, now=5_000_001) is Admission.STRANGER
    assert association.admit(REBOUND, FEEDBACK, now=5_000_002) is Admission.FIRST


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    association = fresh()
    association.admit(PEER, MEDIA, now=0)
    spoken_of = [
        association.admit(Address("198.51.100.9", port), MEDIA, now=1) is Admission.STRANGER
        for port in range(1, 1000)
    ]
    assert sum(spoken_of) == 64
    assert association.strangers_ignored == 999


@pytest.mark.parametrize("admission", list(Admission))
def test_only_strangers_are_unwelcome(admission: Admission) -> None:
    assert admission.is_welcome == ("stranger" not in admission.value)
