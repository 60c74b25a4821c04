"""Why a connection did not come about, as exceptions that say what to try."""

from __future__ import annotations

from collections.abc import Iterable

from terzetto.errors import (
    AuthenticationFailed,
    ConnectionRefusedByPeer,
    PeerError,
    PeerTimedOut,
    WrongProtocol,
)
from terzetto.net.endpoint import Trouble
from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.wire.rejection import RejectionReason, describe_rejection, hint_for_rejection

__all__ = ["PassphraseRefused", "error_for_refusal"]


class PassphraseRefused(AuthenticationFailed, ConnectionRefusedByPeer):
    """The passphrases differ, or one side has none; ``code`` says which."""

    def __init__(self, message: str, *, code: int, reason: str = "", hint: str = "") -> None:
        ConnectionRefusedByPeer.__init__(self, message, code=code, reason=reason, hint=hint)


_SECRETS = (RejectionReason.BADSECRET, RejectionReason.UNSECURE, RejectionReason.CRYPTO)


def error_for_refusal(
    refusal: RefusedError, target: str, *, timeout: float, has_heard: bool, troubles: Iterable[Trouble]
) -> PeerError:
    """The exception for a call to *target* that ended with *refusal*."""
    code = refusal.code
    if code == RejectionReason.TIMEOUT:
        return _timed_out(target, timeout, has_heard, [trouble.kind for trouble in troubles])
    if code == RejectionReason.ROGUE and "not SRT" in str(refusal):
        return WrongProtocol(f"what answers at {target} is not SRT", hint="check host and port")
    reason = str(refusal) or describe_rejection(code)
    message = f"{target} refused: {reason} ({code})"
    hint = hint_for_rejection(code)
    if code in _SECRETS:
        return PassphraseRefused(message, code=code, reason=reason, hint=hint)
    return ConnectionRefusedByPeer(message, code=code, reason=reason, hint=hint)


def _timed_out(target: str, timeout: float, has_heard: bool, troubles: list[str]) -> PeerTimedOut:
    if "refused" in troubles:
        return PeerTimedOut(
            f"nobody listens at {target}: the host says the port is closed",
            hint="start the listener first, and check the port",
        )
    if troubles:
        return PeerTimedOut(
            f"{target} cannot be reached: {troubles[0]}", hint="check the address and the route"
        )
    if has_heard:
        return PeerTimedOut(
            f"{target} answered, and then fell silent for {timeout:g} s",
            hint="it may serve somebody else already, or the network loses much: try a longer conntimeo",
        )
    return PeerTimedOut(
        f"{target} did not answer in {timeout:g} s",
        hint="check that a listener runs there and that UDP passes the firewalls",
    )
