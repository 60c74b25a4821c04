"""Two sides of a login with frames between them, and a clock that jumps to whatever is due."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from terzetto.crypto.verifier import UserRecord, VerifierFile, records_for_password
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import Micros
from terzetto.rist.core.guess_limiter import GuessLimiter
from terzetto.rist.core.login_news import LoginNews
from terzetto.rist.core.srp_authenticatee import SrpAuthenticatee
from terzetto.rist.core.srp_authenticator import SrpAuthenticator
from terzetto.rist.core.srp_dialects import SrpDialects
from terzetto.rist.core.srp_users import SrpUsers

DELAY: Micros = 10_000
RECORDS = records_for_password("rist", "mainprofile", salts=(b"\1" * 32, b"\2" * 32))


def entropy(seed: str) -> EntropySource:
    """Bytes that depend on the seed and on how often was asked."""
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return sha256(f"{seed} {drawn}".encode()).digest()[:size]

    return draw


def authenticator(
    *,
    records: list[UserRecord] | None = None,
    dialects: SrpDialects | None = None,
    limiter: GuessLimiter | None = None,
    use_session_key: bool = False,
    passphrase: bytes | None = None,
    authorize: bool = False,
    seed: str = "server",
) -> SrpAuthenticator:
    source = entropy(seed)
    users = SrpUsers(VerifierFile(RECORDS if records is None else records).find, entropy=source)
    return SrpAuthenticator(
        users,
        host="192.0.2.1",
        limiter=limiter or GuessLimiter(now=0),
        entropy=source,
        now=0,
        dialects=dialects,
        use_session_key=use_session_key,
        passphrase=passphrase,
        authorize=authorize,
    )


def authenticatee(
    username: str = "rist",
    password: str = "mainprofile",
    *,
    dialects: SrpDialects | None = None,
    offer_session_key: bool = False,
    ask_passphrase: bool = False,
    passphrase: bytes | None = None,
) -> SrpAuthenticatee:
    return SrpAuthenticatee(
        username,
        password,
        entropy=entropy("client"),
        now=0,
        dialects=dialects,
        offer_session_key=offer_session_key,
        ask_passphrase=ask_passphrase,
        passphrase=passphrase,
    )


class LoginPair:
    """Frames take `DELAY`; *keep* decides which arrive, by direction and a running number."""

    def __init__(
        self,
        client: SrpAuthenticatee,
        server: SrpAuthenticator,
        *,
        keep: Callable[[str, int], bool] = lambda _direction, _number: True,
    ) -> None:
        self.client = client
        self.server = server
        self.now: Micros = 0
        self.client_news: list[LoginNews] = []
        self.server_news: list[LoginNews] = []
        self.frames: list[tuple[str, bytes]] = []
        self._keep = keep
        self._flying: list[tuple[Micros, int, str, bytes]] = []

    def run(self, until: Micros) -> None:
        """Let time pass."""
        self._drain()
        while True:
            moments = [self._flying[0][0]] if self._flying else []
            moments += [
                at for at in (self.client.next_timeout(), self.server.next_timeout()) if at is not None
            ]
            if not moments or min(moments) > until:
                break
            self.now = max(self.now, min(moments))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, direction, frame = self._flying.pop(0)
                if direction == "C>S":
                    self.server.handle_frame(frame, now=self.now)
                else:
                    self.client.handle_frame(frame, now=self.now)
                self._drain()
            self.client.handle_timeout(now=self.now)
            self.server.handle_timeout(now=self.now)
            self._drain()
        self.now = max(self.now, until)

    def _drain(self) -> None:
        self.client_news += self.client.poll_news()
        self.server_news += self.server.poll_news()
        for direction, frames in (("C>S", self.client.poll_frames()), ("S>C", self.server.poll_frames())):
            for frame in frames:
                number = len(self.frames)
                self.frames.append((direction, frame))
                if self._keep(direction, number):
                    self._flying.append((self.now + DELAY, number, direction, frame))
        self._flying.sort()
