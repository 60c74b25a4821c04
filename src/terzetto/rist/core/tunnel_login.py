"""A login's news, turned into what they mean for the tunnel and for the user."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros
from terzetto.rist import events
from terzetto.rist.core import login_news as news
from terzetto.rist.core.srp_authenticatee import SrpAuthenticatee
from terzetto.rist.core.srp_authenticator import SrpAuthenticator
from terzetto.rist.core.tunnel import Tunnel
from terzetto.rist.events import RistEvent

__all__ = ["TunnelLogin"]


class TunnelLogin:
    """The login of one peer through its tunnel, on either side."""

    def __init__(
        self,
        machine: SrpAuthenticatee | SrpAuthenticator,
        tunnel: Tunnel,
        peer: Address,
        *,
        needs_keys: bool,
    ) -> None:
        self._machine = machine
        self._tunnel = tunnel
        self._peer = peer
        self._needs_keys = needs_keys
        self._missing_keys_told = False
        self.username = ""
        """Who was proved to be there."""
        self._changing: bytes | None = None
        self._events: list[RistEvent] = []

    @property
    def is_authenticated(self) -> bool:
        """Whether the peer may have media, and be listened to."""
        return self._machine.is_authenticated and (not self._needs_keys or self._tunnel.is_keyed)

    @property
    def is_waiting_for_application(self) -> bool:
        """Whether the application was asked and has not answered."""
        return isinstance(self._machine, SrpAuthenticator) and self._machine.is_authorizing

    def begin(self, *, now: Micros) -> None:
        """A caller starts; a listener asks who is there, unless it does so already."""
        if isinstance(self._machine, SrpAuthenticatee):
            # libRIST asks as soon as it hears of us, and a start in the middle of a login confuses 0.2.7 for good.
            if not self._machine.has_begun:
                self._machine.start(now=now)
        elif not self._machine.is_authenticated:
            self._machine.ask(now=now)

    def handle_frames(self, frames: Sequence[Buffer], *, now: Micros) -> None:
        """EAPOL frames of the peer."""
        for frame in frames:
            self._machine.handle_frame(frame, now=now)
            self._digest(now)

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        self._machine.handle_timeout(now=now)
        self._digest(now)

    def next_timeout(self) -> Micros | None:
        """When something is."""
        return self._machine.next_timeout()

    def authorize(self, accepted: bool, *, now: Micros, reason: str) -> None:
        """The application's word."""
        if isinstance(self._machine, SrpAuthenticator):
            self._machine.authorize(accepted, now=now, reason=reason)
            self._digest(now)

    def announce(self, passphrase: bytes, *, now: Micros) -> bool:
        """Tell the peer of a new passphrase, and change to it when it knows; whether that is possible."""
        if not self._machine.is_authenticated:
            return False
        self._changing = passphrase
        self._machine.exchange.announce(passphrase, now=now)
        return True

    def poll_frames(self) -> list[bytes]:
        """EAPOL frames for the peer."""
        return self._machine.poll_frames()

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        told, self._events = self._events, []
        return told

    @property
    def dropped(self) -> dict[str, int]:
        """Frames that were ignored, by reason."""
        return self._machine.dropped

    def _digest(self, now: Micros) -> None:
        for each in self._machine.poll_news():
            self._take(each)
        if self._machine.is_authenticated and self._needs_keys and not self._tunnel.is_keyed:
            self._mind_missing_keys()

    def _take(self, said: news.LoginNews) -> None:
        match said:
            case news.LoggedIn(username, _, again):
                self.username = username
                self._events.append(events.PeerAuthenticated(self._peer, username, again))
            case news.LoginFailed(username, reason, final):
                self._events.append(events.AuthenticationRefused(self._peer, username, reason, final))
            case news.LoginExpired(username):
                self._events.append(
                    events.AuthenticationRefused(self._peer, username, "the login was not renewed in time")
                )
            case news.AuthorizationWanted(username):
                self._events.append(events.AuthorizationWanted(self._peer, username))
            case news.TransmitPassphrase():
                self._tunnel.encipher_with(said.passphrase)
            case news.ReceivePassphrase():
                self._receive(said)
            case news.PassphraseDelivered(in_time):
                self._delivered(in_time)

    def _receive(self, said: news.ReceivePassphrase) -> None:
        decipher = self._tunnel.decipher
        if not decipher.is_keyed:
            decipher.replace_passphrase(said.passphrase)
        else:
            # What is on its way was enciphered with the one before, and is still good.
            decipher.install_passphrase(said.passphrase)

    def _delivered(self, in_time: bool) -> None:
        if self._changing is None:
            return
        if in_time:
            self._tunnel.encipher_with(self._changing)
            self._events.append(events.PassphraseChanged(confirmed=True))
        else:
            reason = "the peer did not say that it has the new passphrase; the old one stays in use"
            self._events.append(events.AuthenticationRefused(self._peer, "", reason))
        self._changing = None

    def _mind_missing_keys(self) -> None:
        machine = self._machine
        if not machine.speaks_current and not self._missing_keys_told:
            self._missing_keys_told = True
            self._events.append(
                events.AuthenticationRefused(
                    self._peer,
                    "",
                    "the peer's version of the login knows no session keys; set a secret at both ends",
                    final=True,
                )
            )
