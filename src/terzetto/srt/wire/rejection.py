"""Why a connection is refused, in numbers and in words.

On the wire a refusal is 1000 plus a reason. Reasons below 1000 are the protocol's own; from 1000 an
application chose them (predefined ones follow HTTP's numbers), from 2000 they mean whatever two applications
agreed upon.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "APPLICATION_FALLBACK",
    "ApplicationReason",
    "RejectionReason",
    "decode_rejection",
    "describe_rejection",
    "hint_for_rejection",
]


class RejectionReason(IntEnum):
    """The protocol's own reasons."""

    UNKNOWN = 0
    SYSTEM = 1
    PEER = 2
    RESOURCE = 3
    ROGUE = 4
    BACKLOG = 5
    IPE = 6
    CLOSE = 7
    VERSION = 8
    RDVCOOKIE = 9
    BADSECRET = 10
    UNSECURE = 11
    MESSAGEAPI = 12
    CONGESTION = 13
    FILTER = 14
    GROUP = 15
    TIMEOUT = 16
    CRYPTO = 17


class ApplicationReason(IntEnum):
    """Reasons that an application gives, with predefined meanings."""

    FALLBACK = 1000
    KEY_NOT_SUPPORTED = 1001
    FILE_PATH = 1002
    HOST_NOT_FOUND = 1003
    BAD_REQUEST = 1400
    UNAUTHORIZED = 1401
    OVERLOAD = 1402
    FORBIDDEN = 1403
    NOT_FOUND = 1404
    BAD_MODE = 1405
    UNACCEPTABLE = 1406
    CONFLICT = 1409
    UNSUPPORTED_MEDIA = 1415
    LOCKED = 1423
    FAILED_DEPENDENCY = 1424
    INTERNAL_ERROR = 1500
    UNIMPLEMENTED = 1501
    BAD_GATEWAY = 1502
    SERVICE_DOWN = 1503
    VERSION_UNSUPPORTED = 1505
    NO_ROOM = 1507


APPLICATION_FALLBACK: Final = 1000
_USER_DEFINED: Final = 2000

_SENTENCES: Final = {
    0: "the peer gave no reason",
    1: "a system call failed at the peer",
    2: "the peer's application refused",
    3: "the peer is out of resources",
    4: "the peer took our handshake for malformed",
    5: "the peer's queue of waiting connections is full",
    6: "the peer had an internal error",
    7: "the peer is closing",
    8: "the peer wants a newer version",
    9: "both ends of a rendezvous chose the same cookie",
    10: "the passphrases differ",
    11: "one side has a passphrase and the other has none",
    12: "one side sends messages and the other a stream of bytes",
    13: "the congestion controllers differ",
    14: "the packet filters differ",
    15: "the peer does not accept groups, or another kind of them",
    16: "the peer did not answer in time",
    17: "the encryption modes differ",
    1000: "the application gave no reason",
    1001: "a key in the stream id is not supported",
    1002: "the file path is wrong",
    1003: "the host in the stream id is unknown",
    1400: "the stream id cannot be understood",
    1401: "the user is not known or the password is wrong",
    1402: "the server is overloaded, or credit is used up",
    1403: "forbidden",
    1404: "there is no such stream",
    1405: "this stream does not take that mode (publish or request)",
    1406: "the parameters are not acceptable",
    1409: "the stream is in use already",
    1415: "the media type is not supported",
    1423: "the stream is locked",
    1424: "something that the stream depends on failed",
    1500: "internal server error",
    1501: "not implemented",
    1502: "a gateway behind the server failed",
    1503: "the service is down",
    1505: "the version is not supported",
    1507: "the server has no room left",
}

_HINTS: Final = {
    5: "the listener serves somebody else; try again",
    10: "compare the passphrases, blanks included",
    11: "set the same passphrase on both sides, or on neither",
    12: "both sides need the same transmission type, live here",
    13: "both sides need the same transmission type, live here",
    17: "set the same crypto mode on both sides",
    1401: "check user and password in the stream id",
    1404: "check the resource in the stream id",
    1405: "a structured stream id says it with m=publish or m=request",
}


def decode_rejection(kind: int) -> int:
    """The reason in a refusing handshake's type word.

    Some implementations send an application's 1403 as it stands, where libsrt sends 2403. Between 18 and 999
    the protocol has no reasons of its own, so both can be read.
    """
    code = kind - 1000
    return code + 1000 if RejectionReason.CRYPTO < code < APPLICATION_FALLBACK else code


def describe_rejection(code: int) -> str:
    """A sentence for a reason, without its number."""
    if code >= _USER_DEFINED:
        return "the peer's application refused, with a reason of its own"
    if code in _SENTENCES:
        return _SENTENCES[code]
    return "the peer's application refused" if code >= APPLICATION_FALLBACK else _SENTENCES[0]


def hint_for_rejection(code: int) -> str:
    """What to try, or nothing."""
    return _HINTS.get(code, "")
