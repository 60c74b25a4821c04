from __future__ import annotations

import pytest

from terzetto.rtsp.core.rtsp_states import CLIENT_TRANSITIONS, SERVER_TRANSITIONS, State
from terzetto.rtsp.core.server_session import ServerSession, SetUp
from terzetto.rtsp.wire.status import METHODS, Status

# Every pair of state and method, and where it leads on the server; "-" is 455. Written out, so that a change to the
# table has to be made twice on purpose.
EXPECTED = {
    #                 INITIAL       PRE_PLAY    PLAYING    PRE_RECORD    RECORDING    CLOSED
    "OPTIONS": ("initial", "ready to play", "playing", "ready to record", "recording", "-"),
    "DESCRIBE": ("initial", "ready to play", "playing", "ready to record", "recording", "-"),
    "GET_PARAMETER": ("initial", "ready to play", "playing", "ready to record", "recording", "-"),
    "SET_PARAMETER": ("initial", "ready to play", "playing", "ready to record", "recording", "-"),
    "ANNOUNCE": ("ready to record", "-", "-", "-", "-", "-"),
    "SETUP": ("ready to play", "ready to play", "-", "ready to record", "-", "-"),
    "PLAY": ("-", "playing", "playing", "-", "-", "-"),
    "RECORD": ("-", "-", "-", "recording", "recording", "-"),
    "PAUSE": ("-", "ready to play", "ready to play", "ready to record", "ready to record", "-"),
    "TEARDOWN": ("closed", "closed", "closed", "closed", "closed", "-"),
    "REDIRECT": ("-", "-", "-", "-", "-", "-"),
}


def test_every_method_is_decided_for_every_state() -> None:
    assert set(EXPECTED) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("state", list(State))
def test_the_product_of_states_and_methods(state: State, method: str) -> None:
    expected = EXPECTED[method][list(State).index(state)]
    session = ServerSession(token="t", host="h", user=None, last_heard=0, state=state)
    session.set_up[0] = SetUp(media=0)
    refused = session.refuses(method)
    assert refused is (Status.METHOD_NOT_VALID_IN_STATE if expected == "-" else None)
    session.advance(method)
    assert session.state.value == (state.value if expected == "-" else expected)


def test_a_client_asks_for_nothing_that_a_server_would_refuse() -> None:
    assert set(CLIENT_TRANSITIONS) <= set(SERVER_TRANSITIONS)
    assert all(SERVER_TRANSITIONS[pair] is after for pair, after in CLIENT_TRANSITIONS.items())


def test_nothing_plays_before_something_was_set_up() -> None:
    session = ServerSession(token="t", host="h", user=None, last_heard=0, state=State.PRE_PLAY)
    assert session.refuses("PLAY") is Status.METHOD_NOT_VALID_IN_STATE


def test_a_session_is_bound_to_host_user_and_while_interleaved_to_its_connection() -> None:
    session = ServerSession(token="t", host="10.0.0.1", user="me", last_heard=0)
    assert session.belongs_to("10.0.0.1", "me", 1)
    assert not session.belongs_to("10.0.0.2", "me", 1)
    assert not session.belongs_to("10.0.0.1", None, 1)
    session.connection = 1
    assert session.belongs_to("10.0.0.1", "me", 1)
    assert not session.belongs_to("10.0.0.1", "me", 2)


def test_channels_are_given_once() -> None:
    session = ServerSession(token="t", host="h", user=None, last_heard=0)
    assert session.free_channels() == (0, 1)
    session.set_up[0] = SetUp(media=0, channels=(0, 1))
    assert session.free_channels() == (2, 3)
    assert not session.channels_are_free((1, 2), media=1)
    assert not session.channels_are_free((4, 6), media=1)
    assert not session.channels_are_free((255, 256), media=1)
    assert session.channels_are_free((0, 1), media=0)
