"""The side of a login that knows a name and a password: whoever calls, whichever way media flows.

::

    us                                 peer
    Start                       -->
                                <--    Identity request
    Identity response: name     -->
                                <--    Challenge: salt
    client key A                -->
                                <--    server key B
    validator M1                -->
                                <--    validator M2
    Success (version 3)         -->                         or an empty response in version 2
    [passphrase request]        -->
                                <--    [passphrase]

The peer may begin again at any time (re-authentication) with another identity request; we stay logged in meanwhile.
A repeated request gets the answer it had. A Failure counts only while we wait for the outcome of the very message it
names, and a Logoff never does, since nothing says who sent it.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Final

from terzetto.crypto.srp import PRIVATE_SIZE, SrpClient, SrpDialect, SrpError
from terzetto.crypto.srp_group import DEFAULT_GROUP, SrpGroup
from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.login_news import LoggedIn, LoginFailed, LoginNews, TransmitPassphrase
from terzetto.rist.core.passphrase_exchange import PassphraseExchange
from terzetto.rist.core.srp_dialects import ATTEMPTS, SrpDialects
from terzetto.rist.wire.eap_srp import Challenge, SrpSubtype, Validator, decode_srp, encode_srp
from terzetto.rist.wire.eapol import (
    CURRENT_VERSION,
    LEGACY_VERSION,
    EapCode,
    EapolFrame,
    EapolType,
    EapPacket,
    EapType,
)

__all__ = ["SrpAuthenticatee"]

_START_RETRY: Final[Micros] = 500 * MICROS_PER_MILLI
_STALLED: Final[Micros] = 3 * MICROS_PER_SECOND
_UNDECIDED: Final[Micros] = 10 * MICROS_PER_SECOND
_REST: Final[Micros] = 30 * MICROS_PER_SECOND

# Every third Start is of version 2, in case somebody minds a 3.
_LEGACY_START_EVERY: Final = 3

# A peer asks for our name a few times a minute; libRIST does so twice a second while it does not know us.
_ANSWERS_PER_SECOND: Final = 10
_ANSWERS_AT_ONCE: Final = 20
_UNKNOWN_AFTER: Final = 4


class _Phase(Enum):
    IDLE = "idle"
    STARTED = "waiting for the identity request"
    IDENTIFIED = "waiting for the challenge"
    KEYED = "waiting for the server's key"
    PROVED = "waiting for the server's proof"
    DONE = "logged in"
    RESTING = "failed too often"


_IN_LOGIN: Final = (_Phase.IDENTIFIED, _Phase.KEYED, _Phase.PROVED)


class SrpAuthenticatee:
    """Logs in to one peer, and stays logged in.

    With *offer_session_key* what we send will be enciphered with the key of the login; with *ask_passphrase* the peer
    is asked for the passphrase of what it sends; *passphrase* is what we tell a peer that asks for ours.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        entropy: EntropySource,
        now: Micros,
        dialects: SrpDialects | None = None,
        offer_session_key: bool = False,
        ask_passphrase: bool = False,
        passphrase: bytes | None = None,
    ) -> None:
        self._username = username
        self._password = password
        self._entropy = entropy
        self._dialects = dialects or SrpDialects()
        self._offer_session_key = offer_session_key
        self._ask_passphrase = ask_passphrase
        self.exchange = PassphraseExchange(
            is_authenticator=False, use_session_key=offer_session_key, passphrase=passphrase
        )
        self._answers = TokenBucket(_ANSWERS_PER_SECOND, _ANSWERS_AT_ONCE, now=now)
        self._phase = _Phase.IDLE
        self._deadline: Micros | None = None
        self._starts = 0
        self._failures = 0
        self._unanswered_names = 0
        self._client: SrpClient | None = None
        self._dialect: SrpDialect | None = None
        self._version = CURRENT_VERSION if self._dialects.current else LEGACY_VERSION
        self._spoke_current = False
        self._last_request: EapPacket | None = None
        self._last_answer = b""
        self._frames: list[bytes] = []
        self._news: list[LoginNews] = []
        self.is_authenticated = False
        """Whether the peer accepted us and we accepted it."""
        self.dropped: Counter[str] = Counter()
        """Frames that were ignored, by reason."""

    @property
    def has_begun(self) -> bool:
        """Whether the login is under way, perhaps because the peer asked first."""
        return self._phase is not _Phase.IDLE

    @property
    def speaks_current(self) -> bool:
        """Whether the login is of the version that knows session keys."""
        return self._version >= CURRENT_VERSION

    # -- commands and time ---------------------------------------------------------------------------------------

    def start(self, *, now: Micros) -> None:
        """Begin; the peer should have heard something else from us before, or libRIST ignores it."""
        self._starts += 1
        version = CURRENT_VERSION
        if not self._dialects.current or (self._dialects.legacy and self._starts % _LEGACY_START_EVERY == 0):
            version = LEGACY_VERSION
        self._frames.append(EapolFrame(version, EapolType.START).encode())
        self._enter(_Phase.STARTED, now + _START_RETRY)

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`."""
        return min(
            (at for at in (self._deadline, self.exchange.next_timeout()) if at is not None), default=None
        )

    def handle_timeout(self, *, now: Micros) -> None:
        """Repeat, begin again, or wake from a rest."""
        self.exchange.handle_timeout(now=now)
        if self._deadline is None or now < self._deadline:
            return
        if self._phase in _IN_LOGIN and self.is_authenticated:
            # A re-authentication that went astray: the peer will ask again.
            self._enter(_Phase.DONE, None)
        else:
            self.start(now=now)

    def poll_frames(self) -> list[bytes]:
        """EAPOL frames for the peer, in order."""
        frames, self._frames = self._frames + self.exchange.poll_frames(), []
        return frames

    def poll_news(self) -> list[LoginNews]:
        """What happened, in order."""
        news = self._news + self.exchange.news
        self._news, self.exchange.news = [], []
        return news

    def _enter(self, phase: _Phase, deadline: Micros | None) -> None:
        self._phase = phase
        self._deadline = deadline

    # -- frames --------------------------------------------------------------------------------------------------

    def handle_frame(self, data: Buffer, *, now: Micros) -> None:
        """Take in an EAPOL frame of the peer."""
        try:
            frame = EapolFrame.decode(data)
            if frame.packet is None:
                self.dropped[f"EAPOL {frame.kind.name.lower()} ignored"] += 1
            else:
                self._handle_packet(frame.version, frame.packet, now)
        except MalformedPacket as malformed:
            self.dropped[malformed.reason] += 1
        except SrpError as error:
            self._fail(error.reason, now)

    def _handle_packet(self, version: int, packet: EapPacket, now: Micros) -> None:
        if packet.code is EapCode.REQUEST:
            self._handle_request(version, packet, now)
        elif packet.code is EapCode.SUCCESS:
            self.exchange.handle_success(packet.identifier)
        elif packet.code is EapCode.FAILURE:
            asked = self._last_request
            if self._phase in _IN_LOGIN and asked is not None and asked.identifier == packet.identifier:
                self._fail("the peer refused name or password", now)
            else:
                self.dropped["failure of nothing outstanding"] += 1
        elif packet.kind is EapType.SRP:
            subtype, body = decode_srp(packet.data)
            if subtype is not SrpSubtype.PASSPHRASE or not self.is_authenticated:
                raise MalformedPacket("unexpected response")
            self.exchange.handle_answer(packet.identifier, body)
        else:
            raise MalformedPacket("unexpected response")

    def _handle_request(self, version: int, packet: EapPacket, now: Micros) -> None:
        if self._phase is _Phase.RESTING:
            self.dropped["request while resting after failures"] += 1
            return
        if not self._answers.take(1, now):
            self.dropped["too many requests"] += 1
            return
        if packet == self._last_request:
            self._frames.append(self._last_answer)
            self._note_repeated_name(packet, now)
            return
        if packet.kind is EapType.IDENTITY:
            self._answer_identity(version, packet, now)
            return
        if packet.kind is not EapType.SRP:
            raise MalformedPacket("unexpected request")
        subtype, body = decode_srp(packet.data)
        if subtype is SrpSubtype.PASSPHRASE:
            if self.is_authenticated:
                self.exchange.handle_question(packet.identifier)
        elif subtype is SrpSubtype.CHALLENGE_OR_CLIENT_KEY and self._phase in _IN_LOGIN:
            self._answer_challenge(version, packet, body, now)
        elif subtype is SrpSubtype.SERVER_KEY_OR_CLIENT_VALIDATOR and self._phase is _Phase.KEYED:
            self._answer_server_key(packet, body, now)
        elif subtype is SrpSubtype.SERVER_VALIDATOR and self._phase is _Phase.PROVED:
            self._take_server_validator(packet, body, now)
        else:
            raise MalformedPacket("request out of turn")

    def _answer_identity(self, version: int, packet: EapPacket, now: Micros) -> None:
        # In the version of whoever asks: 0.2.7 knows no other than its own.
        newest = CURRENT_VERSION if self._dialects.current else LEGACY_VERSION
        self._version = min(max(version, LEGACY_VERSION), newest)
        self._client = None
        self._enter(_Phase.IDENTIFIED, now + _STALLED)
        self._answer(packet, EapType.IDENTITY, self._username.encode())
        self._note_repeated_name(packet, now)

    def _note_repeated_name(self, packet: EapPacket, now: Micros) -> None:
        """libRIST says nothing to a name it does not know, and keeps asking for another."""
        if packet.kind is not EapType.IDENTITY or self.is_authenticated:
            return
        self._unanswered_names += 1
        if self._unanswered_names >= _UNKNOWN_AFTER:
            self._unanswered_names = 0
            self._news.append(
                LoginFailed(self._username, "the peer does not answer to this name", final=False)
            )

    def _answer_challenge(self, version: int, packet: EapPacket, body: bytes, now: Micros) -> None:
        challenge = Challenge.decode(body)
        if version < CURRENT_VERSION and self._spoke_current:
            raise MalformedPacket("downgrade of a login to version 2")
        dialect = self._dialects.for_client(version, self._failures)
        if dialect is None:
            raise SrpError(f"the peer speaks version {version} of the login, which is switched off")
        group = DEFAULT_GROUP
        if challenge.modulus:
            group = SrpGroup.from_untrusted(challenge.generator, challenge.modulus)
        self._unanswered_names = 0
        self._version = min(version, CURRENT_VERSION)
        self._dialect = dialect
        self._client = SrpClient(
            self._username.encode(),
            self._password.encode(),
            challenge.salt,
            private=self._entropy(PRIVATE_SIZE),
            dialect=dialect,
            group=group,
        )
        self._enter(_Phase.KEYED, now + _STALLED)
        key = self._client.public_key
        self._answer(packet, EapType.SRP, encode_srp(SrpSubtype.CHALLENGE_OR_CLIENT_KEY, key))

    def _answer_server_key(self, packet: EapPacket, body: bytes, now: Micros) -> None:
        assert self._client is not None
        proof = self._client.prove(body)
        validator = Validator(proof, use_session_key=self._offers_session_key)
        # Longer than the others: an application over there may be asked whether it wants us.
        self._enter(_Phase.PROVED, now + _UNDECIDED)
        data = encode_srp(SrpSubtype.SERVER_KEY_OR_CLIENT_VALIDATOR, validator.encode())
        self._answer(packet, EapType.SRP, data)

    def _take_server_validator(self, packet: EapPacket, body: bytes, now: Micros) -> None:
        assert self._client is not None
        assert self._dialect is not None
        validator = Validator.decode(body)
        if not self._client.accepts(validator.proof):
            self._fail("the peer does not know the password itself", now)
            return
        again, self.is_authenticated = self.is_authenticated, True
        self._failures = 0
        self._dialects = self._dialects.preferring(self._dialect)
        self._spoke_current |= self._version >= CURRENT_VERSION
        self._enter(_Phase.DONE, None)
        self._news.append(LoggedIn(self._username, self._dialect.name, again))
        key = self._client.session_key
        self.exchange.begin(key, version=self._version)
        if self._version < CURRENT_VERSION:
            self._answer(packet, EapType.SRP, encode_srp(SrpSubtype.SERVER_VALIDATOR))
            return
        self._answer_with(packet, EapPacket(EapCode.SUCCESS, packet.identifier, None, bytes(2)))
        if validator.use_session_key:
            self.exchange.receive(key)
        elif self._ask_passphrase:
            self.exchange.ask(now=now)
        if self._offers_session_key:
            self._news.append(TransmitPassphrase(key))

    @property
    def _offers_session_key(self) -> bool:
        # A peer of version 2 would take the flag for noise, and our media for the same.
        return self._offer_session_key and self._version >= CURRENT_VERSION

    def _fail(self, reason: str, now: Micros) -> None:
        self._failures += 1
        self._client = None
        self._last_request = None
        final = self._failures >= ATTEMPTS
        self._news.append(LoginFailed(self._username, reason, final))
        if final:
            self._failures = 0
            self.is_authenticated = False
            self._enter(_Phase.RESTING, now + _REST)
        else:
            self.start(now=now)

    def _answer(self, request: EapPacket, kind: EapType, data: bytes) -> None:
        self._answer_with(request, EapPacket(EapCode.RESPONSE, request.identifier, kind, data))

    def _answer_with(self, request: EapPacket, answer: EapPacket) -> None:
        self._last_request = request
        self._last_answer = EapolFrame(self._version, EapolType.EAP, answer).encode()
        self._frames.append(self._last_answer)
