"""What either side of a login has to tell: who is in, who is not and why, and which passphrases it brought."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import attrs

__all__ = [
    "AuthorizationWanted",
    "LoggedIn",
    "LoginExpired",
    "LoginFailed",
    "LoginNews",
    "PassphraseDelivered",
    "ReceivePassphrase",
    "TransmitPassphrase",
]


class LoggedIn(NamedTuple):
    """The peer proved itself; media may flow."""

    username: str
    dialect: str
    """Which of the dialects of SRP it took."""
    again: bool
    """Whether this was a re-authentication."""


class LoginFailed(NamedTuple):
    """A login did not succeed; *final* where nothing will be tried for a while."""

    username: str
    reason: str
    final: bool


class LoginExpired(NamedTuple):
    """The peer did not prove itself again in time: it is a stranger from now on."""

    username: str


class AuthorizationWanted(NamedTuple):
    """The peer proved that it knows the password; the application may still say no (``authorize``)."""

    username: str


@attrs.frozen
class TransmitPassphrase:
    """Encipher what we send with this from now on; the peer knows it."""

    passphrase: bytes = attrs.field(repr=False)


@attrs.frozen
class ReceivePassphrase:
    """The peer enciphers, or is about to encipher, with this."""

    passphrase: bytes = attrs.field(repr=False)
    first: bool
    """Whether it is the first of the session, and so takes the place of any other."""


class PassphraseDelivered(NamedTuple):
    """The peer has the passphrase that was announced to it, or (*in_time* false) never said so."""

    in_time: bool


LoginNews: TypeAlias = (
    LoggedIn
    | LoginFailed
    | LoginExpired
    | AuthorizationWanted
    | TransmitPassphrase
    | ReceivePassphrase
    | PassphraseDelivered
)
