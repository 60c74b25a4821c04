from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.crypto.srp import PADDED, UNPADDED, ZERO_STATE, SrpDialect
from terzetto.crypto.verifier import UserRecord
from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.rist.core.guess_limiter import GuessLimiter
from terzetto.rist.core.login_news import (
    AuthorizationWanted,
    LoggedIn,
    LoginExpired,
    LoginFailed,
    PassphraseDelivered,
    ReceivePassphrase,
    TransmitPassphrase,
)
from terzetto.rist.core.srp_authenticatee import SrpAuthenticatee
from terzetto.rist.core.srp_dialects import SrpDialects
from terzetto.rist.wire.eapol import EapCode, EapolFrame, EapolType, EapPacket, EapType
from tests.rist.core.login_pair import RECORDS, LoginPair, authenticatee, authenticator

SECOND = MICROS_PER_SECOND

# The libRISTs in the field, as they would configure themselves.
FIELD = {
    "0.2.16 and later": SrpDialects((PADDED,), ()),
    "0.2.8 to 0.2.15": SrpDialects((UNPADDED,), (ZERO_STATE,)),
    "0.2.7": SrpDialects((), (ZERO_STATE,)),
    "0.2.7 built with Nettle": SrpDialects((), (UNPADDED,)),
}


def names(news: Sequence[object]) -> list[str]:
    return [type(each).__name__ for each in news]


def frame(
    version: int, code: EapCode, identifier: int, kind: EapType | None = None, data: bytes = b""
) -> bytes:
    return EapolFrame(version, EapolType.EAP, EapPacket(code, identifier, kind, data)).encode()


def started() -> LoginPair:
    pair = LoginPair(authenticatee(), authenticator())
    pair.client.start(now=0)
    return pair


def logged_in(pair: LoginPair) -> bool:
    return pair.client.is_authenticated and pair.server.is_authenticated


# -- the ordinary way --------------------------------------------------------------------------------------------


def test_a_login_takes_ten_frames_in_version_3() -> None:
    pair = started()
    pair.run(SECOND)
    assert logged_in(pair)
    assert pair.client_news == [LoggedIn("rist", "padded", again=False)]
    assert pair.server_news == [LoggedIn("rist", "padded", again=False)]
    shapes = [(direction, data[0], data[4:5].hex(), data[8:10].hex()) for direction, data in pair.frames]
    assert shapes == [
        ("C>S", 3, "", ""),
        ("S>C", 3, "01", "01"),
        ("C>S", 3, "02", "0172"),
        ("S>C", 3, "01", "1301"),
        ("C>S", 3, "02", "1301"),
        ("S>C", 3, "01", "1302"),
        ("C>S", 3, "02", "1302"),
        ("S>C", 3, "01", "1303"),
        ("C>S", 3, "03", "0000"),
    ]
    identifiers = [data[5] for _, data in pair.frames[1:]]
    first = identifiers[0]
    assert identifiers == [(first + step) & 0xFF for step in (0, 0, 1, 1, 2, 2, 3, 3)]


def test_a_login_of_version_2_ends_with_an_empty_response_and_a_success() -> None:
    old = SrpDialects((), (ZERO_STATE,))
    pair = LoginPair(authenticatee(dialects=old), authenticator(dialects=old))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert logged_in(pair)
    assert pair.frames[0][1].hex() == "02010000"
    identifier = pair.frames[-3][1][5]
    assert pair.frames[-2][1].hex() == f"0200000602{identifier:02x}00061303"
    assert pair.frames[-1][1].hex() == f"0200000403{identifier + 1 & 0xFF:02x}0004"
    assert {data[0] for _, data in pair.frames} == {2}


@pytest.mark.parametrize("peer", FIELD)
@pytest.mark.parametrize("we_call", [False, True])
def test_every_librist_in_the_field_gets_in_and_lets_us_in(peer: str, we_call: bool) -> None:
    theirs = FIELD[peer]
    if we_call:
        pair = LoginPair(authenticatee(), authenticator(dialects=theirs))
    else:
        pair = LoginPair(authenticatee(dialects=theirs), authenticator())
    pair.client.start(now=0)
    pair.run(3 * SECOND)
    assert logged_in(pair)
    # What was found out is remembered: the next login succeeds at once.
    failures = sum(isinstance(news, LoginFailed) for news in pair.client_news)
    assert failures <= 1
    pair.server.ask(now=pair.now)
    pair.run(6 * SECOND)
    assert isinstance(pair.client_news[-1], LoggedIn)
    assert pair.client_news[-1].again
    assert sum(isinstance(news, LoginFailed) for news in pair.client_news) == failures


@pytest.mark.parametrize("client_first", [PADDED, UNPADDED])
@pytest.mark.parametrize("server_first", [PADDED, UNPADDED])
def test_two_of_us_meet_however_each_begins(client_first: SrpDialect, server_first: SrpDialect) -> None:
    both = SrpDialects()
    pair = LoginPair(
        authenticatee(dialects=both.preferring(client_first)),
        authenticator(dialects=both.preferring(server_first)),
    )
    pair.client.start(now=0)
    pair.run(3 * SECOND)
    assert logged_in(pair)


def test_a_pinned_dialect_is_not_left() -> None:
    pair = LoginPair(
        authenticatee(dialects=SrpDialects((PADDED,), ())),
        authenticator(dialects=SrpDialects((UNPADDED,), ())),
    )
    pair.client.start(now=0)
    pair.run(10 * SECOND)
    assert not pair.client.is_authenticated
    assert not pair.server.is_authenticated


def test_a_file_of_0_2_7_brings_a_newer_peer_down_to_version_2() -> None:
    pair = LoginPair(authenticatee(), authenticator(records=RECORDS[:1]))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert logged_in(pair)
    assert pair.server_news == [LoggedIn("rist", "zero-state", again=False)]


def test_a_file_without_an_old_record_still_serves_an_old_build_that_hashed_right() -> None:
    pair = LoginPair(authenticatee(dialects=SrpDialects((), (UNPADDED,))), authenticator(records=RECORDS[1:]))
    pair.client.start(now=0)
    pair.run(3 * SECOND)
    assert logged_in(pair)


def test_an_old_record_from_a_build_that_hashed_right_serves_its_clients() -> None:
    record = RECORDS[1]
    old = UserRecord("rist", record.verifier, record.salt, 0)
    pair = LoginPair(authenticatee(dialects=SrpDialects((), (UNPADDED,))), authenticator(records=[old]))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert logged_in(pair)
    assert not any(isinstance(news, LoginFailed) for news in pair.server_news)


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("username", "password"), [("rist", "wrong"), ("nobody", "mainprofile")])
def test_a_wrong_name_or_password_is_refused_three_times_then_rested_upon(
    username: str, password: str
) -> None:
    pair = LoginPair(authenticatee(username, password), authenticator())
    pair.client.start(now=0)
    pair.run(20 * SECOND)
    assert not pair.client.is_authenticated
    assert not pair.server.is_authenticated
    assert pair.client_news == [
        LoginFailed(username, "the peer refused name or password", final=number == 2) for number in range(3)
    ]
    assert pair.server_news == [
        LoginFailed(username, "wrong name or password", final=number == 2) for number in range(3)
    ]
    before = len(pair.frames)
    pair.run(29 * SECOND)
    assert len(pair.frames) == before
    pair.run(32 * SECOND)
    assert len(pair.frames) > before  # and then another round


def test_an_unknown_name_cannot_be_told_from_a_known_one_by_its_challenge() -> None:
    def challenge(server_seed: str, username: str) -> bytes:
        pair = LoginPair(authenticatee(username), authenticator(seed=server_seed))
        pair.client.start(now=0)
        pair.run(35_000)
        return pair.frames[3][1][8:]

    known, unknown = challenge("one", "rist"), challenge("one", "nobody")
    assert len(known) == len(unknown)
    assert known[:6] == unknown[:6]
    assert challenge("one", "nobody") == unknown
    assert challenge("two", "nobody") != unknown


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    pair = started()
    pair.run(75_000)  # the validator of the server is on its way
    assert pair.frames[-1][1][8:10].hex() == "1303"
    forged = bytearray(pair.frames[-1][1])
    forged[-1] ^= 1
    pair._flying.clear()
    pair.client.handle_frame(bytes(forged), now=pair.now)
    assert not pair.client.is_authenticated
    assert pair.client.poll_news() == [
        LoginFailed("rist", "the peer does not know the password itself", final=False)
    ]


@pytest.mark.parametrize("key", [b"", bytes(256), b"\x01" * 257])
def test_a_degenerate_client_key_fails_the_login(key: bytes) -> None:
    pair = started()
    pair.run(35_000)
    challenge = pair.frames[-1][1]
    pair._flying.clear()
    pair.server.handle_frame(
        frame(3, EapCode.RESPONSE, challenge[5], EapType.SRP, b"\x01" + key), now=pair.now
    )
    (news,) = pair.server.poll_news()
    assert isinstance(news, LoginFailed)
    assert pair.server.poll_frames() == [frame(3, EapCode.FAILURE, challenge[5])]


def test_the_application_may_refuse_whom_it_knows() -> None:
    pair = LoginPair(authenticatee(), authenticator(authorize=True))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert pair.server_news == [AuthorizationWanted("rist")]
    assert not pair.server.is_authenticated
    pair.server.authorize(False, now=pair.now, reason="not on air today")
    pair.run(pair.now + 20_000)
    assert pair.server_news[1] == LoginFailed("rist", "not on air today", final=False)
    assert isinstance(pair.client_news[0], LoginFailed)


def test_the_application_may_take_its_time_to_agree() -> None:
    pair = LoginPair(authenticatee(), authenticator(authorize=True))
    pair.client.start(now=0)
    pair.run(5 * SECOND)
    pair.server.authorize(True, now=pair.now)
    pair.run(6 * SECOND)
    assert logged_in(pair)
    pair.server.authorize(False, now=pair.now)  # too late, and nothing is asked again for a re-authentication
    pair.server.ask(now=pair.now)
    pair.run(7 * SECOND)
    assert logged_in(pair)
    assert names(pair.server_news) == ["AuthorizationWanted", "LoggedIn", "LoggedIn"]


def test_librist_that_stays_silent_to_a_name_is_explained() -> None:
    client = authenticatee("nobody")
    client.start(now=0)
    for number in range(4):
        client.handle_frame(frame(3, EapCode.REQUEST, number, EapType.IDENTITY), now=number * 500_000)
    assert client.poll_news() == [LoginFailed("nobody", "the peer does not answer to this name", final=False)]


def test_guesses_from_one_host_are_limited_over_all_its_ports() -> None:
    limiter = GuessLimiter(now=0)
    refused = 0
    for _ in range(4):
        pair = LoginPair(authenticatee("rist", "guess"), authenticator(limiter=limiter))
        pair.client.start(now=0)
        pair.run(2 * SECOND)
        refused += sum(isinstance(news, LoginFailed) for news in pair.server_news)
    assert refused == 5
    pair = LoginPair(authenticatee(), authenticator(limiter=limiter))
    pair.now = 15 * SECOND
    pair.client.start(now=pair.now)
    pair.run(17 * SECOND)
    assert logged_in(pair)


def test_a_dialect_found_by_failing_is_not_held_against_the_host() -> None:
    limiter = GuessLimiter(now=0)
    for number in range(10):
        pair = LoginPair(
            authenticatee(dialects=FIELD["0.2.8 to 0.2.15"]), authenticator(limiter=limiter, seed=str(number))
        )
        pair.client.start(now=0)
        pair.run(2 * SECOND)
        assert logged_in(pair)


# -- time and loss -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(9))
def test_any_one_frame_may_be_lost(lost: int) -> None:
    pair = LoginPair(authenticatee(), authenticator(), keep=lambda _direction, number: number != lost)
    pair.client.start(now=0)
    pair.run(2 * SECOND)
    assert logged_in(pair)
    assert names(pair.client_news) == ["LoggedIn"]
    assert names(pair.server_news) == ["LoggedIn"]


def test_after_a_failure_the_server_asks_again_by_itself() -> None:
    def keep(_direction: str, number: int) -> bool:
        frame = EapolFrame.decode(pair.frames[number][1])
        is_failure = frame.packet is not None and frame.packet.code is EapCode.FAILURE
        return not is_failure and (number == 0 or frame.kind is not EapolType.START)

    pair = LoginPair(authenticatee(dialects=FIELD["0.2.8 to 0.2.15"]), authenticator(), keep=keep)
    pair.client.start(now=0)
    pair.run(2 * SECOND)
    assert logged_in(pair)
    assert names(pair.server_news) == ["LoginFailed", "LoggedIn"]


@pytest.mark.parametrize("seed", range(8))
def test_a_third_of_all_frames_may_be_lost(seed: int) -> None:
    chance = Random(seed).random
    pair = LoginPair(authenticatee(), authenticator(), keep=lambda _direction, _number: chance() > 0.33)
    pair.client.start(now=0)
    pair.run(40 * SECOND)
    assert logged_in(pair)


def test_a_peer_is_asked_again_every_minute_and_stays_in() -> None:
    pair = started()
    pair.run(185 * SECOND)
    assert [news.again for news in pair.server_news if isinstance(news, LoggedIn)] == [
        False,
        True,
        True,
        True,
    ]
    assert names(pair.client_news) == ["LoggedIn"] * 4
    assert logged_in(pair)


def test_a_peer_that_stays_away_from_its_re_authentication_is_out() -> None:
    pair = LoginPair(authenticatee(), authenticator(), keep=lambda _direction, number: number < 9)
    pair.client.start(now=0)
    pair.run(65 * SECOND)
    assert logged_in(pair)
    pair.run(75 * SECOND)
    assert not logged_in(pair)
    assert pair.server_news[-1] == LoginExpired("rist")


def test_a_peer_that_forgot_us_lets_us_in_again() -> None:
    pair = started()
    pair.run(SECOND)
    pair.server = authenticator(seed="after a restart")
    pair.server.ask(now=pair.now)
    pair.run(2 * SECOND)
    assert logged_in(pair)


def test_a_peer_that_never_answers_is_given_up_until_it_starts() -> None:
    server = authenticator()
    server.ask(now=0)
    pair = LoginPair(authenticatee(), server, keep=lambda direction, _number: direction == "C>S")
    pair.run(10 * SECOND)
    assert len(pair.frames) == 6
    assert pair.server_news == [LoginFailed("", "the peer does not answer", final=False)]
    assert server.next_timeout() is None


def test_starts_alternate_in_version_for_who_minds() -> None:
    client = authenticatee()
    client.start(now=0)
    for now in range(500_000, 3_000_001, 500_000):
        client.handle_timeout(now=now)
    assert [data.hex() for data in client.poll_frames()] == ["03010000"] * 2 + ["02010000"] + [
        "03010000"
    ] * 2 + [
        "02010000",
        "03010000",
    ]


# -- spoofing ----------------------------------------------------------------------------------------------------


def test_a_failure_or_logoff_out_of_the_blue_changes_nothing() -> None:
    pair = started()
    pair.run(SECOND)
    for identifier in range(256):
        pair.client.handle_frame(frame(3, EapCode.FAILURE, identifier), now=pair.now)
    for side in (pair.client, pair.server):
        side.handle_frame(bytes.fromhex("03020000"), now=pair.now)
    assert logged_in(pair)
    assert pair.client.poll_news() == []
    assert pair.client.dropped == {"failure of nothing outstanding": 256, "EAPOL logoff ignored": 1}


def test_a_failure_counts_only_with_the_identifier_that_is_outstanding() -> None:
    pair = started()
    pair.run(65_000)
    pair._flying.clear()
    outstanding = pair.frames[-1][1][5]
    pair.client.handle_frame(frame(3, EapCode.FAILURE, outstanding ^ 1), now=pair.now)
    assert pair.client.poll_news() == []
    pair.client.handle_frame(frame(3, EapCode.FAILURE, outstanding), now=pair.now)
    assert names(list(pair.client.poll_news())) == ["LoginFailed"]


def test_a_flood_of_requests_is_answered_at_a_rate() -> None:
    client = authenticatee()
    for number in range(200):
        client.handle_frame(frame(3, EapCode.REQUEST, number, EapType.IDENTITY), now=0)
    assert len(client.poll_frames()) == 20
    server = authenticator()
    for _ in range(200):
        server.handle_frame(bytes.fromhex("03010004"), now=0)
    assert len(server.poll_frames()) == 5


def test_a_login_of_version_3_is_not_brought_down_to_version_2_later() -> None:
    pair = started()
    pair.run(SECOND)
    pair.server = authenticator(dialects=SrpDialects((), (ZERO_STATE,)), seed="an impostor")
    pair.server.ask(now=pair.now)
    pair.run(1_500_000)
    assert pair.client.dropped["downgrade of a login to version 2"] > 0
    assert not pair.server.is_authenticated


def test_version_2_is_not_spoken_where_it_is_switched_off() -> None:
    pair = LoginPair(authenticatee(dialects=SrpDialects((PADDED,), ())), authenticator(records=RECORDS[:1]))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert not pair.client.is_authenticated
    assert any("version 2" in news.reason for news in pair.client_news if isinstance(news, LoginFailed))


def test_another_user_does_not_take_over_a_session() -> None:
    pair = started()
    pair.run(SECOND)
    pair.server.ask(now=pair.now)
    (asked,) = pair.server.poll_frames()
    pair.server.handle_frame(frame(3, EapCode.RESPONSE, asked[5], EapType.IDENTITY, b"eve"), now=pair.now)
    assert pair.server.dropped["another name than the one that is logged in"] == 1
    assert pair.server.username == "rist"


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.builds(
            frame,
            st.integers(0, 4),
            st.sampled_from(EapCode),
            st.integers(0, 255),
            st.none() | st.sampled_from(EapType),
            st.binary(max_size=20),
        ),
        max_size=20,
    )
)
def test_strange_frames_never_log_anybody_in_nor_raise(frames: list[bytes]) -> None:
    client, server = authenticatee(), authenticator()
    client.start(now=0)
    server.ask(now=0)
    for now, data in enumerate(frames):
        for side in (client, server):
            side.handle_frame(data, now=now)
            side.handle_timeout(now=now)
            side.poll_frames()
            side.poll_news()
    assert not client.is_authenticated
    assert not server.is_authenticated


# -- passphrases -------------------------------------------------------------------------------------------------


def test_the_session_key_becomes_the_passphrase_of_both_directions() -> None:
    pair = LoginPair(authenticatee(offer_session_key=True), authenticator(use_session_key=True))
    pair.client.start(now=0)
    pair.run(SECOND)
    sent = [news for news in pair.client_news + pair.server_news if isinstance(news, TransmitPassphrase)]
    heard = [news for news in pair.client_news + pair.server_news if isinstance(news, ReceivePassphrase)]
    assert len(sent) == len(heard) == 2
    keys = {news.passphrase for news in sent} | {news.passphrase for news in heard}
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert all(news.first for news in heard)
    # Whoever sends with a new key does so only once the other side has it.
    assert names(pair.server_news) == ["ReceivePassphrase", "LoggedIn", "TransmitPassphrase"]
    pair.server.ask(now=pair.now)
    pair.run(2 * SECOND)
    again = [news for news in pair.client_news if isinstance(news, ReceivePassphrase)]
    assert [news.first for news in again] == [True, False]
    assert again[0].passphrase != again[1].passphrase


def test_the_flag_is_never_set_towards_version_2() -> None:
    old = SrpDialects((), (ZERO_STATE,))
    pair = LoginPair(authenticatee(offer_session_key=True, dialects=old), authenticator(use_session_key=True))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert logged_in(pair)
    assert names(pair.client_news) == names(pair.server_news) == ["LoggedIn"]
    assert all(
        data[10:14] == bytes(4) for _, data in pair.frames if data[8:10] == b"\x13\x03" and len(data) > 20
    )


def test_a_caller_without_a_secret_learns_that_of_the_listener() -> None:
    pair = LoginPair(authenticatee(ask_passphrase=True), authenticator(passphrase=b"of the listener"))
    pair.client.start(now=0)
    pair.run(SECOND)
    assert pair.client_news[1:] == [ReceivePassphrase(b"of the listener", first=True)]
    question, answer, thanks = (data for _, data in pair.frames[-3:])
    assert question.hex() == "0300000601c100061310"
    assert answer[4:6].hex() == "02c1"
    assert answer[8:11].hex() == "131040"
    assert b"of the listener" not in answer
    assert thanks.hex() == "0300000403c10004"
    assert "listener" not in repr(pair.client_news)


def test_a_question_is_repeated_and_given_up_where_nobody_has_an_answer() -> None:
    pair = LoginPair(authenticatee(ask_passphrase=True), authenticator())
    pair.client.start(now=0)
    pair.run(10 * SECOND)
    assert sum(data[8:10] == b"\x13\x10" for _, data in pair.frames) == 5
    assert logged_in(pair)


def test_librists_answer_with_the_session_key() -> None:
    pair = LoginPair(authenticatee(ask_passphrase=True), authenticator())
    pair.client.start(now=0)
    pair.run(100_000)
    pair.client.handle_frame(bytes.fromhex("0300000702c100071310 80"), now=pair.now)
    assert pair.client.poll_frames() == [bytes.fromhex("0300000403c10004")]
    (news,) = pair.client.poll_news()
    assert isinstance(news, ReceivePassphrase)
    assert len(news.passphrase) == 32


@pytest.mark.parametrize("announcer", ["client", "server"])
def test_a_passphrase_is_announced_before_it_is_used(announcer: str) -> None:
    dropped: list[int] = []

    def keep(_direction: str, number: int) -> bool:
        if number in (9, 10):
            dropped.append(number)
            return False
        return True

    pair = LoginPair(authenticatee(), authenticator(), keep=keep)
    pair.client.start(now=0)
    pair.run(SECOND)
    side, own, other = (
        (pair.client, pair.client_news, pair.server_news)
        if announcer == "client"
        else (pair.server, pair.server_news, pair.client_news)
    )
    side.exchange.announce(b"the next one", now=pair.now)
    pair.run(4 * SECOND)
    assert dropped == [9, 10]
    assert own[-1] == PassphraseDelivered(in_time=True)
    assert other[1:] == [ReceivePassphrase(b"the next one", first=True)]


def test_an_announcement_that_nobody_hears_is_given_up_and_said() -> None:
    pair = LoginPair(authenticatee(), authenticator(), keep=lambda _direction, number: number < 9)
    pair.client.start(now=0)
    pair.run(SECOND)
    pair.server.exchange.announce(b"unheard", now=pair.now)
    pair.run(6 * SECOND)
    assert pair.server_news[-1] == PassphraseDelivered(in_time=False)


def test_nobody_tells_or_takes_a_passphrase_before_a_login() -> None:
    server, client = authenticator(passphrase=b"secret"), authenticatee(passphrase=b"secret")
    question = bytes.fromhex("0300000601c100061310")
    answer = bytes.fromhex("0300000702c100071310 80")
    for side in (server, client):
        side.handle_frame(question, now=0)
        side.handle_frame(answer, now=0)
        assert side.poll_frames() == []
        assert side.poll_news() == []


def test_a_caller_tells_a_listener_that_asks() -> None:
    pair = LoginPair(authenticatee(passphrase=b"of the caller"), authenticator())
    pair.client.start(now=0)
    pair.run(SECOND)
    pair.server.exchange.ask(now=pair.now)
    pair.run(2 * SECOND)
    assert pair.server_news[-1] == ReceivePassphrase(b"of the caller", first=True)
    assert pair.frames[-3][1][5] == 0x41


def test_passwords_stay_out_of_the_repr() -> None:
    assert isinstance(authenticatee(), SrpAuthenticatee)
    assert "mainprofile" not in repr(authenticatee())
