"""Every exception that terzetto raises on purpose, on one page.

The second level says whose fault it is, because that decides what to do about it::

    TerzettoError
    ├── CallerError                  change the program, the URL or the option
    │   ├── InvalidOption            (also ValueError)
    │   ├── InvalidUrl               (also ValueError)
    │   ├── UnsupportedOperation
    │   └── MissingExtra             (also ImportError) an optional package is not installed
    ├── PeerError                    talk to the people at the other end
    │   ├── ConnectionRefusedByPeer  with code, reason and hint
    │   ├── AuthenticationFailed     keys, names or certificates do not match
    │   ├── PeerTimedOut             it never answered, or fell silent
    │   ├── AllPathsFailed           every path of a group is gone, with the causes
    │   ├── WrongProtocol            it speaks, but not what we asked for
    │   └── ProtocolViolation        it broke the rules of a reliable channel
    └── WorldError                   look at the machine and the network
        ├── AddressInUse
        ├── NoRoute
        ├── UnknownHost
        └── PermissionRefused

Errors that mean "this stream is broken" are also `trio.BrokenResourceError`, so that code written for trio's
streams needs no second ``except``. Using an object after closing it is plain `trio.ClosedResourceError`.

A bad datagram is never an exception: it is dropped, and counted by reason in ``statistics()``. Inside the wire
layers a decoder says so with `MalformedPacket`, which no public call lets out.
"""

from __future__ import annotations

from collections.abc import Sequence

from trio import BrokenResourceError

__all__ = [
    "AddressInUse",
    "AllPathsFailed",
    "AuthenticationFailed",
    "CallerError",
    "ConnectionRefusedByPeer",
    "InvalidOption",
    "InvalidUrl",
    "MalformedPacket",
    "MissingExtra",
    "NoRoute",
    "PeerError",
    "PeerTimedOut",
    "PermissionRefused",
    "ProtocolViolation",
    "TerzettoError",
    "UnknownHost",
    "UnsupportedOperation",
    "WorldError",
    "WrongProtocol",
]


class TerzettoError(Exception):
    """Anything this package raises on purpose.

    ``hint`` is one sentence that says what to try; it is also the end of ``str(error)``.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.hint = hint


class CallerError(TerzettoError):
    """The program that called us asked for something that cannot be."""


class InvalidOption(CallerError, ValueError):
    """An option has a value that it cannot have; the message names option, value and range."""


class InvalidUrl(CallerError, ValueError):
    """A URL cannot be understood; the message shows the part that is wrong, never its secrets."""


class UnsupportedOperation(CallerError):
    """This combination does not exist: the protocol, the profile or the platform lacks it."""


class MissingExtra(CallerError, ImportError):
    """A feature needs a package that is not installed; the message says how to get it."""


class PeerError(TerzettoError, BrokenResourceError):
    """The other end did, or failed to do, something that ended this stream."""


class ConnectionRefusedByPeer(PeerError):
    """The peer said no, and said why."""

    def __init__(self, message: str, *, code: int | None = None, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason


class AuthenticationFailed(PeerError):
    """Passphrase, user name, password or certificate do not match the peer's."""


class PeerTimedOut(PeerError):
    """The peer never answered, or has been silent for longer than the session's time-out."""


class AllPathsFailed(PeerError):
    """Every path of a group is gone; ``causes`` has what happened to each."""

    def __init__(self, message: str, causes: Sequence[Exception], *, hint: str = "") -> None:
        what = "; ".join(str(cause) for cause in causes)
        super().__init__(f"{message}: {what}" if what else message, hint=hint)
        self.causes = tuple(causes)


class WrongProtocol(PeerError):
    """Something answered, but in another protocol or profile than the one we were told to speak."""


class ProtocolViolation(PeerError):
    """The peer broke the rules of a channel that cannot lose bytes, so nothing after it can be trusted."""


class WorldError(TerzettoError, OSError):
    """The machine or the network between us does not allow it."""

    # OSError.__new__ would turn some argument tuples into errno objects; ours is only ever a sentence.
    def __init__(self, message: str, *, hint: str = "") -> None:
        TerzettoError.__init__(self, message, hint=hint)

    def __str__(self) -> str:
        return str(self.args[0])


class AddressInUse(WorldError):
    """Another socket has this address already."""


class NoRoute(WorldError):
    """This machine knows no way to that address, or does not own the address we should bind."""


class UnknownHost(WorldError):
    """A host name does not resolve."""


class PermissionRefused(WorldError):
    """The operating system does not grant this to our user."""


class MalformedPacket(Exception):
    """Bytes from the network that a decoder of ours cannot parse: count, drop, carry on.

    Internal to the wire layers and to whoever calls a decoder directly. ``reason`` is a short constant phrase,
    fit to be the key of a counter.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
