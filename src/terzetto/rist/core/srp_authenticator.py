"""The side of a login that knows verifiers: whoever listens, whichever way media flows; one for each peer.

The steps are in `srp_authenticatee`, read from the other side. Each request is repeated until it is answered. A peer
that is logged in is asked again every minute, and remains logged in meanwhile; if it stays away, it is out.

What strangers may cost is bounded: nothing is computed before a client's key came back with the right identifiers,
and then no more often than `GuessLimiter` grants.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Final

from terzetto.crypto.srp import PRIVATE_SIZE, SrpError, SrpServer
from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.guess_limiter import GuessLimiter
from terzetto.rist.core.login_news import (
    AuthorizationWanted,
    LoggedIn,
    LoginExpired,
    LoginFailed,
    LoginNews,
    TransmitPassphrase,
)
from terzetto.rist.core.passphrase_exchange import PassphraseExchange
from terzetto.rist.core.srp_dialects import ATTEMPTS, SrpDialects
from terzetto.rist.core.srp_users import Credentials, SrpUsers
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

__all__ = ["SrpAuthenticator"]

_RETRY: Final[Micros] = 500 * MICROS_PER_MILLI
_TRIES: Final = 6
"""The first and five repeats."""

_REST: Final[Micros] = 30 * MICROS_PER_SECOND
_REAUTHENTICATION: Final[Micros] = 60 * MICROS_PER_SECOND
_GRACE: Final[Micros] = 10 * MICROS_PER_SECOND
"""For a re-authentication, before the peer is out; libRIST repeats for three seconds."""

_STARTS_PER_SECOND: Final = 1
_STARTS_AT_ONCE: Final = 5
_LONGEST_NAME: Final = 255


class _Phase(Enum):
    IDLE = "nothing asked"
    NAME_ASKED = "waiting for the name"
    CHALLENGED = "waiting for the client's key"
    KEYED = "waiting for the client's proof"
    AUTHORIZING = "waiting for the application"
    PROVED = "waiting for the client to agree"
    DONE = "logged in"
    RESTING = "failed too often"


class SrpAuthenticator:
    """Lets one peer in, or not.

    With *use_session_key* what we send to peers of version 3 will be enciphered with the key of the login;
    *passphrase* is what we tell a peer that asks for ours. With *authorize* a proved peer waits for the application's
    word.
    """

    def __init__(
        self,
        users: SrpUsers,
        *,
        host: str,
        limiter: GuessLimiter,
        entropy: EntropySource,
        now: Micros,
        dialects: SrpDialects | None = None,
        use_session_key: bool = False,
        passphrase: bytes | None = None,
        authorize: bool = False,
        reauthentication: Micros = _REAUTHENTICATION,
    ) -> None:
        self._users = users
        self._host = host
        self._limiter = limiter
        self._entropy = entropy
        self._dialects = dialects or SrpDialects()
        self._use_session_key = use_session_key
        self._authorize = authorize
        self._reauthentication = reauthentication
        self.exchange = PassphraseExchange(
            is_authenticator=True, use_session_key=use_session_key, passphrase=passphrase
        )
        self._starts = TokenBucket(_STARTS_PER_SECOND, _STARTS_AT_ONCE, now=now)
        self._phase = _Phase.IDLE
        self._deadline: Micros | None = None
        self._expires_at: Micros | None = None
        self._tries = 0
        self._failures = 0
        self._failures_of_name = 0
        self._identifier = 0
        self._request = b""
        self._version = CURRENT_VERSION if self._dialects.current else LEGACY_VERSION
        self._username = b""
        self._credentials: Credentials | None = None
        self._server: SrpServer | None = None
        self._client_uses_session_key = False
        self._frames: list[bytes] = []
        self._news: list[LoginNews] = []
        self.is_authenticated = False
        """Whether the peer proved itself, and was not refused since."""
        self.dropped: Counter[str] = Counter()
        """Frames that were ignored, by reason."""

    @property
    def username(self) -> str:
        """Whom the peer says it is, or was proved to be."""
        return self._username.decode("utf-8", "replace")

    @property
    def is_authorizing(self) -> bool:
        """Whether the application's word is awaited."""
        return self._phase is _Phase.AUTHORIZING

    @property
    def speaks_current(self) -> bool:
        """Whether the login is of the version that knows session keys."""
        return self._version >= CURRENT_VERSION

    # -- commands and time ---------------------------------------------------------------------------------------

    def ask(self, *, now: Micros) -> None:
        """Ask the peer who it is, where that is not being done already; also to authenticate it again."""
        if self._phase not in (_Phase.IDLE, _Phase.DONE) or not self._limiter.may_try(self._host, now=now):
            return
        if self.is_authenticated:
            self._expires_at = now + _GRACE
        # A start that nobody can foresee, so that only who sees our requests can answer them.
        self._identifier = self._entropy(1)[0]
        self._send_request(_Phase.NAME_ASKED, EapType.IDENTITY, b"", now)

    def authorize(self, accepted: bool, *, now: Micros, reason: str = "") -> None:
        """The application's word on `AuthorizationWanted`."""
        if self._phase is not _Phase.AUTHORIZING:
            return
        if accepted:
            self._send_validator(now)
        else:
            self._fail(reason or "refused by the application", now)

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`."""
        ats = (self._deadline, self._expires_at, self.exchange.next_timeout())
        return min((at for at in ats if at is not None), default=None)

    def handle_timeout(self, *, now: Micros) -> None:
        """Repeat a request, ask again after a minute, or end what was not renewed."""
        self.exchange.handle_timeout(now=now)
        if self._expires_at is not None and now >= self._expires_at:
            self._expires_at = None
            self.is_authenticated = False
            self._news.append(LoginExpired(self.username))
        if self._deadline is None or now < self._deadline:
            return
        if self._phase is _Phase.DONE:
            self.ask(now=now)
            if self._phase is _Phase.DONE:
                self._deadline = now + self._reauthentication
        elif self._phase in (_Phase.IDLE, _Phase.RESTING):
            self._enter(_Phase.IDLE, None)
            self.ask(now=now)
        elif self._tries < _TRIES:
            self._tries += 1
            self._deadline = now + _RETRY
            self._frames.append(self._request)
        else:
            self._enter(_Phase.IDLE, None)
            if not self.is_authenticated:
                self._news.append(LoginFailed(self.username, "the peer does not answer", final=False))

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
            if frame.kind is EapolType.START:
                self._handle_start(frame.version, now)
            elif frame.packet is None:
                self.dropped["EAPOL logoff ignored"] += 1
            else:
                self._handle_packet(frame.version, frame.packet, now)
        except MalformedPacket as malformed:
            self.dropped[malformed.reason] += 1
        except SrpError as error:
            self._fail(error.reason, now)

    def _handle_start(self, version: int, now: Micros) -> None:
        if not self._starts.take(1, now):
            self.dropped["too many starts"] += 1
            return
        if self._phase is _Phase.NAME_ASKED:
            self._frames.append(self._request)
            return
        if self._phase not in (_Phase.IDLE, _Phase.DONE):
            # The peer began anew, or somebody else says so: what is outstanding is repeated by and by.
            self.dropped["start in the middle of a login"] += 1
            return
        if self._dialects.legacy and version < CURRENT_VERSION:
            self._version = LEGACY_VERSION
        self.ask(now=now)

    def _handle_packet(self, version: int, packet: EapPacket, now: Micros) -> None:
        if packet.code is EapCode.SUCCESS:
            if self._phase is _Phase.PROVED and packet.identifier == self._identifier:
                self._agree(now)
            else:
                self.exchange.handle_success(packet.identifier)
            return
        if packet.kind is not EapType.SRP:
            if packet.code is EapCode.RESPONSE and packet.kind is EapType.IDENTITY:
                self._take_name(version, packet, now)
                return
            raise MalformedPacket("unexpected EAP packet")
        subtype, body = decode_srp(packet.data)
        if subtype is SrpSubtype.PASSPHRASE:
            self._handle_passphrase(packet, body)
        elif packet.code is not EapCode.RESPONSE or packet.identifier != self._identifier:
            raise MalformedPacket("response to nothing outstanding")
        elif subtype is SrpSubtype.CHALLENGE_OR_CLIENT_KEY and self._phase is _Phase.CHALLENGED:
            self._take_client_key(body, now)
        elif subtype is SrpSubtype.SERVER_KEY_OR_CLIENT_VALIDATOR and self._phase is _Phase.KEYED:
            self._take_validator(body, now)
        elif subtype is SrpSubtype.SERVER_VALIDATOR and self._phase is _Phase.PROVED:
            self._agree(now)
        else:
            raise MalformedPacket("response out of turn")

    def _handle_passphrase(self, packet: EapPacket, body: bytes) -> None:
        if not self.is_authenticated:
            raise MalformedPacket("passphrase before login")
        if packet.code is EapCode.REQUEST:
            self.exchange.handle_question(packet.identifier)
        else:
            self.exchange.handle_answer(packet.identifier, body)

    # -- steps ---------------------------------------------------------------------------------------------------

    def _take_name(self, version: int, packet: EapPacket, now: Micros) -> None:
        if self._phase is not _Phase.NAME_ASKED or packet.identifier != self._identifier:
            raise MalformedPacket("response to nothing outstanding")
        if not 0 < len(packet.data) <= _LONGEST_NAME:
            raise MalformedPacket("user name has an impossible length")
        if self.is_authenticated and packet.data != self._username:
            raise MalformedPacket("another name than the one that is logged in")
        if packet.data != self._username:
            self._failures_of_name = 0
        self._username = packet.data
        credentials = self._users.credentials(packet.data, version, self._dialects, self._failures)
        if credentials is None:
            raise SrpError(f"version {version} of the login is switched off")
        self._credentials = credentials
        self._version = credentials.version
        self._identifier = self._next_identifier
        body = Challenge(credentials.salt).encode()
        data = encode_srp(SrpSubtype.CHALLENGE_OR_CLIENT_KEY, body)
        self._send_request(_Phase.CHALLENGED, EapType.SRP, data, now)

    def _take_client_key(self, body: bytes, now: Micros) -> None:
        assert self._credentials is not None
        if not self._limiter.may_compute(now=now):
            raise MalformedPacket("too many logins at once")
        credentials = self._credentials
        self._server = SrpServer(
            self._username,
            credentials.verifier,
            credentials.salt,
            private=self._entropy(PRIVATE_SIZE),
            dialect=credentials.dialect,
        )
        self._server.take_client_key(body)
        self._identifier = self._next_identifier
        data = encode_srp(SrpSubtype.SERVER_KEY_OR_CLIENT_VALIDATOR, self._server.public_key)
        self._send_request(_Phase.KEYED, EapType.SRP, data, now)

    def _take_validator(self, body: bytes, now: Micros) -> None:
        assert self._server is not None
        assert self._credentials is not None
        validator = Validator.decode(body)
        proved = self._server.accepts(validator.proof, also=self._credentials.also)
        if not proved or not self._credentials.is_known:
            self._fail("wrong name or password", now)
            return
        self._client_uses_session_key = validator.use_session_key and self._version >= CURRENT_VERSION
        self._limiter.forgive(self._host, self._failures_of_name)
        self._failures_of_name = 0
        if self._authorize and not self.is_authenticated:
            self._enter(_Phase.AUTHORIZING, None)
            self._news.append(AuthorizationWanted(self.username))
        else:
            self._send_validator(now)

    def _send_validator(self, now: Micros) -> None:
        assert self._server is not None
        validator = Validator(self._server.proof, use_session_key=self._uses_session_key)
        if self._client_uses_session_key:
            # The client enciphers with it as soon as it has our proof, perhaps before we hear its agreement.
            self.exchange.receive(self._server.session_key)
        self._identifier = self._next_identifier
        data = encode_srp(SrpSubtype.SERVER_VALIDATOR, validator.encode())
        self._send_request(_Phase.PROVED, EapType.SRP, data, now)

    def _agree(self, now: Micros) -> None:
        """The client accepted our proof: it is in."""
        assert self._server is not None
        assert self._credentials is not None
        again, self.is_authenticated = self.is_authenticated, True
        self._failures = 0
        self._expires_at = None
        self._dialects = self._dialects.preferring(self._credentials.dialect)
        self._enter(_Phase.DONE, now + self._reauthentication)
        self._news.append(LoggedIn(self.username, self._credentials.dialect.name, again))
        key = self._server.session_key
        self.exchange.begin(key, version=self._version)
        if self._version < CURRENT_VERSION:
            self._identifier = self._next_identifier
            self._frames.append(self._frame(EapPacket(EapCode.SUCCESS, self._identifier)))
        elif self._uses_session_key:
            self._news.append(TransmitPassphrase(key))

    def _fail(self, reason: str, now: Micros) -> None:
        was_in, self.is_authenticated = self.is_authenticated, False
        self._expires_at = None
        self._failures += 1
        self._failures_of_name += 1
        self._limiter.failed(self._host, now=now)
        final = self._failures >= ATTEMPTS
        self._server = None
        self._news.append(LoginFailed(self.username, reason, final))
        if was_in:
            self._news.append(LoginExpired(self.username))
        self._frames.append(self._frame(EapPacket(EapCode.FAILURE, self._identifier)))
        if final:
            self._failures = 0
            self._enter(_Phase.RESTING, now + _REST)
        else:
            # The peer's next start may be lost, as may have been what it should tell it that it is due.
            self._enter(_Phase.IDLE, now + _RETRY)

    @property
    def _uses_session_key(self) -> bool:
        # libRIST sets the flag towards version 2 as well, and then nobody understands its reports.
        return self._use_session_key and self._version >= CURRENT_VERSION

    @property
    def _next_identifier(self) -> int:
        return self._identifier + 1 & 0xFF

    def _send_request(self, phase: _Phase, kind: EapType, data: bytes, now: Micros) -> None:
        self._request = self._frame(EapPacket(EapCode.REQUEST, self._identifier, kind, data))
        self._tries = 1
        self._frames.append(self._request)
        self._enter(phase, now + _RETRY)

    def _frame(self, packet: EapPacket) -> bytes:
        return EapolFrame(self._version, EapolType.EAP, packet).encode()
