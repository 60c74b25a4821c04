"""The file of users that libRIST's tools read and write: names, salts and SRP verifiers, no passwords.

One line a record, ``user:base64(verifier):base64(salt):group[:hash version]``. Padding of the base64 may be absent.
Group 3 is the 2048-bit default. Hash version 1 is the verifier of ordinary SHA-256; version 0, or none at all, is
that of tools up to 0.2.7, whose password hash starts from zeros in most builds. Later tools write both lines for
each user, and so do we, so that peers of every age find theirs.

The file does not let anybody in by itself, but who has it can try passwords against it as fast as he likes.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, Self

import attrs

from terzetto.crypto.srp import UNPADDED, ZERO_STATE, make_verifier
from terzetto.crypto.srp_group import DEFAULT_GROUP
from terzetto.errors import InvalidOption

__all__ = ["UserRecord", "VerifierFile", "records_for_password"]

_DEFAULT_GROUP_ID: Final = 3
_LONGEST_NAME: Final = 255


@attrs.frozen
class UserRecord:
    """One line of the file."""

    username: str
    verifier: int = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    hash_version: int = 1
    """1 for `PADDED` and `UNPADDED` logins, 0 for `ZERO_STATE` ones."""

    def encode(self) -> str:
        """The line, without its end."""
        verifier = self.verifier.to_bytes((self.verifier.bit_length() + 7) // 8, "big")
        return ":".join(
            (
                self.username,
                b64encode(verifier).decode(),
                b64encode(self.salt).decode(),
                str(_DEFAULT_GROUP_ID),
                str(self.hash_version),
            )
        )

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read a line; InvalidOption says what is wrong with it, without showing it."""
        fields = line.split(":")
        if len(fields) not in (4, 5) or not fields[0]:
            raise InvalidOption("a record is not user:verifier:salt:group[:hash version]")
        if fields[3] != str(_DEFAULT_GROUP_ID):
            raise InvalidOption(
                f"the group of {fields[0]!r} is {fields[3]!r}, must be 3, the 2048-bit one",
                hint="write the user anew with terzetto passwd",
            )
        hash_version = fields[4] if len(fields) == 5 else "0"
        if hash_version not in ("0", "1"):
            raise InvalidOption(f"the hash version of {fields[0]!r} is {hash_version!r}, must be 0 or 1")
        verifier, salt = _decoded(fields[0], fields[1]), _decoded(fields[0], fields[2])
        number = int.from_bytes(verifier, "big")
        if not 0 < number < DEFAULT_GROUP.modulus or not 0 < len(salt) <= 64:
            raise InvalidOption(f"verifier or salt of {fields[0]!r} has an impossible size")
        return cls(fields[0], number, salt, int(hash_version))


def _decoded(username: str, text: str) -> bytes:
    try:
        return b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidOption(f"verifier or salt of {username!r} is not base64") from exc


def records_for_password(username: str, password: str, *, salts: tuple[bytes, bytes]) -> list[UserRecord]:
    """A user's two records, for peers old and new; *salts* are random bytes, 32 each."""
    name = username.encode()
    if not name or len(name) > _LONGEST_NAME or any(char in ":\r\n\0" for char in username):
        raise InvalidOption(
            f"user name is {len(name)} bytes long, must be 1 to {_LONGEST_NAME}, without colon or line end"
        )
    if not password or len(password.encode()) > _LONGEST_NAME:
        raise InvalidOption(f"password is {len(password.encode())} bytes long, must be 1 to {_LONGEST_NAME}")
    records = []
    for hash_version, dialect, salt in ((0, ZERO_STATE, salts[0]), (1, UNPADDED, salts[1])):
        verifier = make_verifier(name, password.encode(), salt, dialect=dialect)
        records.append(UserRecord(username, verifier, salt, hash_version))
    return records


class VerifierFile:
    """The users of one file, found by name."""

    def __init__(self, records: Iterable[UserRecord] = ()) -> None:
        self._records: dict[tuple[str, int], UserRecord] = {}
        for record in records:
            self.add(record)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a file's text; InvalidOption names the line that cannot be read."""
        users = cls()
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                users.add(UserRecord.decode(line.rstrip("\r")))
            except InvalidOption as exc:
                raise InvalidOption(f"line {number}: {exc}") from exc
        return users

    def encode(self) -> str:
        """The file's text, one line a record."""
        return "".join(f"{record.encode()}\n" for record in self._records.values())

    @property
    def usernames(self) -> list[str]:
        """Everybody in the file, in its order."""
        return list(dict.fromkeys(name for name, _ in self._records))

    def add(self, record: UserRecord) -> None:
        """Put a record in the place of the user's one of that hash version."""
        self._records[record.username, record.hash_version] = record

    def remove(self, username: str) -> bool:
        """Forget a user; whether there was one."""
        gone = [key for key in self._records if key[0] == username]
        for key in gone:
            del self._records[key]
        return bool(gone)

    def find(self, username: str, hash_version: int) -> UserRecord | None:
        """The user's verifier for logins of that hash version."""
        return self._records.get((username, hash_version))

    def check(self, username: str, password: str) -> bool:
        """Whether *password* is the user's, by every record there is of him."""
        records = [record for (name, _), record in self._records.items() if name == username]
        return bool(records) and all(_matches(record, password.encode()) for record in records)


def _matches(record: UserRecord, password: bytes) -> bool:
    # A record without a version may come from a tool built either way.
    dialects = (UNPADDED,) if record.hash_version else (ZERO_STATE, UNPADDED)
    name = record.username.encode()
    return any(
        make_verifier(name, password, record.salt, dialect=dialect) == record.verifier for dialect in dialects
    )
