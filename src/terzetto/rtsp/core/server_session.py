"""One session as the server sees it: its state, its medias, and who may drive it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import define, field

from terzetto.primitives.time import Micros
from terzetto.rtsp.core.media_keys import MediaKeys
from terzetto.rtsp.core.rtsp_states import SERVER_TRANSITIONS, State
from terzetto.rtsp.wire.headers.transport import PortPair
from terzetto.rtsp.wire.status import Status

__all__ = ["Lower", "ServerSession", "SetUp"]


class Lower(Enum):
    """How a session's media travels; the same for all of them."""

    UDP = "udp"
    TCP = "tcp"
    MULTICAST = "multicast"


@define(kw_only=True)
class SetUp:
    """One media that was set up."""

    media: int
    channels: PortPair | None = None
    client_ports: PortPair | None = None
    keys: MediaKeys | None = field(default=None, eq=False)
    """What opens the client's packets and seals ours, where they are SRTP."""


@define
class ServerSession:
    """The rules of one session; ``method in state`` is settled by one total table."""

    token: str
    host: str
    """Who opened it; nobody else may drive it."""
    user: str | None
    last_heard: Micros
    state: State = State.INITIAL
    path: str | None = None
    query: str = ""
    lower: Lower | None = None
    """None until the first SETUP."""
    connection: int | None = None
    """The connection whose stream carries its media; others may not drive it meanwhile."""
    set_up: dict[int, SetUp] = field(factory=dict)

    def refuses(self, method: str) -> Status | None:
        """Why *method* is not possible now, or None."""
        if (self.state, method) not in SERVER_TRANSITIONS:
            return Status.METHOD_NOT_VALID_IN_STATE
        if method in ("PLAY", "RECORD") and not self.set_up:
            return Status.METHOD_NOT_VALID_IN_STATE
        return None

    def allowed(self) -> list[str]:
        """The methods that are possible now."""
        return [
            method for state, method in SERVER_TRANSITIONS if state is self.state and not self.refuses(method)
        ]

    def belongs_to(self, host: str, user: str | None, connection: int) -> bool:
        """Whether a request from there may drive this session."""
        if host != self.host or user != self.user:
            return False
        return self.connection is None or self.connection == connection

    def advance(self, method: str) -> None:
        """*method* was granted."""
        self.state = SERVER_TRANSITIONS.get((self.state, method), self.state)

    def free_channels(self) -> PortPair:
        """The lowest even pair that no media uses."""
        taken = {channel for each in self.set_up.values() if each.channels for channel in each.channels}
        low = next(number for number in _EVEN if number not in taken and number + 1 not in taken)
        return low, low + 1

    def channels_are_free(self, channels: PortPair, media: int) -> bool:
        """Whether *media* may use these channels."""
        low, high = channels
        if high != low + 1 or high > 255:
            return False
        return not any(
            each.channels is not None and {low, high} & set(each.channels)
            for each in self.set_up.values()
            if each.media != media
        )

    def is_silent(self, *, now: Micros, patience: Micros) -> bool:
        """Whether nothing was heard for too long."""
        return now - self.last_heard >= patience


_EVEN: Final = range(0, 256, 2)
