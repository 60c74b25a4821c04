"""States of a session, as client and server see them, and what each method makes of them.

Both tables are total: what is not in them is not allowed, and every pair was decided.

::

              ANNOUNCE              SETUP               RECORD
    INITIAL ----------> PRE_RECORD ------> PRE_RECORD ---------> RECORDING
       |                                       ^                     |
       |  SETUP                                +------- PAUSE -------+
       +-------> PRE_PLAY -- PLAY --> PLAYING -- PAUSE --> PRE_PLAY
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

__all__ = ["CLIENT_TRANSITIONS", "SERVER_TRANSITIONS", "State"]


class State(Enum):
    """Where a session stands."""

    INITIAL = "initial"
    PRE_PLAY = "ready to play"
    PLAYING = "playing"
    PRE_RECORD = "ready to record"
    RECORDING = "recording"
    CLOSED = "closed"

    @property
    def is_streaming(self) -> bool:
        """Whether media flows."""
        return self in (State.PLAYING, State.RECORDING)


_OPEN: Final = (State.INITIAL, State.PRE_PLAY, State.PLAYING, State.PRE_RECORD, State.RECORDING)
_ANYWHERE: Final = ("OPTIONS", "DESCRIBE", "GET_PARAMETER", "SET_PARAMETER")

_COMMON: Final = {
    **{(state, method): state for state in _OPEN for method in _ANYWHERE},
    **{(state, "TEARDOWN"): State.CLOSED for state in _OPEN},
    (State.INITIAL, "ANNOUNCE"): State.PRE_RECORD,
    (State.INITIAL, "SETUP"): State.PRE_PLAY,
    (State.PRE_PLAY, "SETUP"): State.PRE_PLAY,
    (State.PRE_RECORD, "SETUP"): State.PRE_RECORD,
    (State.PRE_PLAY, "PLAY"): State.PLAYING,
    # A PLAY while playing is a seek for cameras that replay, and is answered again by servers.
    (State.PLAYING, "PLAY"): State.PLAYING,
    (State.PLAYING, "PAUSE"): State.PRE_PLAY,
    (State.PRE_RECORD, "RECORD"): State.RECORDING,
    (State.RECORDING, "PAUSE"): State.PRE_RECORD,
}

CLIENT_TRANSITIONS: Final[Mapping[tuple[State, str], State]] = _COMMON
"""What a client may ask, and where a success leads."""

SERVER_TRANSITIONS: Final[Mapping[tuple[State, str], State]] = {
    **_COMMON,
    # PAUSE is idempotent.
    (State.PRE_PLAY, "PAUSE"): State.PRE_PLAY,
    (State.PRE_RECORD, "PAUSE"): State.PRE_RECORD,
    (State.RECORDING, "RECORD"): State.RECORDING,
}
"""What a server grants, and where it leads."""
