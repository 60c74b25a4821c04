"""The peer at the other end of a tunnel, from its first datagram to its loss: its keys, its login, its standing.

Whoever calls is a guest; that it is heard at all, and listened to, it has to earn: by speaking sensibly, with our
secret if there is one, by its login, and by the application's word, whichever of these are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rist import events
from terzetto.rist.core import psk_receiver as psk
from terzetto.rist.core.gre_session import Opening
from terzetto.rist.core.tunnel import Tunnel
from terzetto.rist.core.tunnel_login import TunnelLogin
from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.events import RistEvent
from terzetto.rist.wire.gre import GreRun

__all__ = ["TunnelGuest"]

# Half a second is how often libRIST repeats a request; three of them unanswered, and we ask anew.
_ASK_AGAIN: Final[Micros] = 5 * MICROS_PER_SECOND

_REFUSAL_INTERVAL: Final[Micros] = 100 * MICROS_PER_MILLI


class TunnelGuest:
    """One peer; with another one, or after a loss, everything begins anew."""

    def __init__(
        self, settings: TunnelSettings, address: Address, *, entropy: EntropySource, now: Micros
    ) -> None:
        self._settings = settings
        self.address = address
        self.local: str | None = None
        self.since = now
        self.heard_at = now
        self.tunnel = Tunnel(settings, entropy=entropy, now=now)
        machine = settings.make_login(address.host, entropy=entropy, now=now)
        self.login: TunnelLogin | None = None
        if machine is not None:
            self.login = TunnelLogin(machine, self.tunnel, address, needs_keys=settings.session_keys)
        self.login_at: Micros | None = None
        """When to begin the login."""
        self.owed: list[Opening] = []
        """What is still to be said to open the session."""
        self.is_settled = False
        """Whether anything that makes sense has come from it."""
        self.wide_key = False
        self._authorized = settings.is_caller or not settings.authorize
        self._keys_proved = 0
        self._newest_version = 0
        self._was_refused = False
        self._next_refusal = now
        self._told: set[type[RistEvent]] = set()
        self._events: list[RistEvent] = []

    # -- standing ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it has proved what it has to prove."""
        if self.login is not None:
            return self.login.is_authenticated
        return self._authorized

    @property
    def username(self) -> str:
        """Who it proved to be."""
        return self.login.username if self.login is not None and self.is_open else ""

    def has_outstayed(self, now: Micros, *, silence: Micros, patience: Micros) -> bool:
        """Whether another caller may take its place, while the session belongs to nobody."""
        waits_for_us = self.login is not None and self.login.is_waiting_for_application
        return now - self.heard_at >= silence or (now - self.since >= patience and not waits_for_us)

    def welcome(self, *, now: Micros) -> None:
        """It makes sense: a listener asks who it is, or whether the application wants it."""
        self.is_settled = True
        if self._settings.is_caller:
            return
        if self.login is not None:
            self.login_at = now
            self.handle_timeout(now=now)
        elif not self._authorized:
            self._events.append(events.AuthorizationWanted(self.address, ""))

    def authorize(self, accepted: bool, *, now: Micros, reason: str) -> None:
        """The application's word."""
        if self.login is not None:
            self.login.authorize(accepted, now=now, reason=reason)
        elif accepted:
            self._authorized = True
        else:
            why = reason or "refused by the application"
            self._events.append(events.AuthenticationRefused(self.address, "", why, final=True))

    # -- packets -------------------------------------------------------------------------------------------------

    def run(self, datagrams: list[Buffer]) -> Run:
        """Datagrams, addressed."""
        return Run(self.address, datagrams, 0, self.local)

    def open(self, run: GreRun, *, now: Micros) -> list[Buffer]:
        """The payloads that may be looked at, in the clear."""
        if run.version > self._newest_version:
            self._newest_version = run.version
        self.wide_key = run.wide_key
        return self.tunnel.open(run, now=now)

    def refusal_due(self, now: Micros) -> int | None:
        """The revision of a keepalive that lets it find out that our secrets differ; None where none is due.

        Its silence would explain nothing to it; but nobody is to be answered more than now and then.
        """
        if self.is_settled or not self._was_refused or now < self._next_refusal:
            return None
        self._next_refusal = now + _REFUSAL_INTERVAL
        return max(1, self._newest_version)

    # -- time and news -------------------------------------------------------------------------------------------

    def handle_timeout(self, *, now: Micros) -> None:
        """Begin the login, again if need be, and serve its timers."""
        if self.login is None:
            return
        if self.login_at is not None and now >= self.login_at:
            # The machine of a caller repeats by itself; that of a listener ends with a failure.
            self.login_at = None if self._settings.is_caller else now + _ASK_AGAIN
            self.login.begin(now=now)
        self.login.handle_timeout(now=now)

    def next_timeout(self) -> Micros | None:
        """When something is due."""
        times = [self.tunnel.gre.next_timeout(), self.login_at]
        if self.login is not None:
            times.append(self.login.next_timeout())
        return min((time for time in times if time is not None), default=None)

    def poll_frames(self) -> list[bytes]:
        """What the login has to say to the peer."""
        return [] if self.login is None else self.login.poll_frames()

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        for news in self.tunnel.decipher.poll_news():
            self._take(news)
        told, self._events = self._events, []
        return told if self.login is None else told + self.login.poll_events()

    def hear_psk(self, news: Iterable[psk.PskNews]) -> None:
        """What another layer under the same passphrases found out."""
        for each in news:
            self._take(each)

    def tell_once(self, event: RistEvent) -> None:
        """Say it if nothing of its kind was said of this peer."""
        if type(event) not in self._told:
            self._told.add(type(event))
            self._events.append(event)

    @property
    def dropped(self) -> Counter[str]:
        """What could not be deciphered, and what its login ignored, by reason."""
        dropped = Counter(self.tunnel.decipher.dropped)
        if self.login is not None:
            dropped.update(self.login.dropped)
        return dropped

    def _take(self, news: psk.PskNews) -> None:
        if isinstance(news, psk.PassphraseProved):
            self._keys_proved += 1
            if self._keys_proved > 1:
                self._events.append(events.KeyRotated(self.address))
            return
        self._was_refused = True
        if isinstance(news, psk.PassphraseWrong):
            self._events.append(events.PassphraseWrong(self.address))
        elif isinstance(news, psk.PassphraseMissing):
            self._events.append(events.PassphraseMissing(self.address))
        elif self._settings.secret is not None:
            # Without a secret of ours the key is the login's, and until a peer knows that it has one it rightly
            # speaks in the clear.
            self._events.append(events.ClearTextRefused(self.address))
