"""``terzetto passwd FILE USER``: who may log in to a listener."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from terzetto.crypto.verifier import VerifierFile, records_for_password
from terzetto.errors import InvalidOption

__all__ = ["passwd"]

_SALT_SIZE: Final = 32
_OWNER_ONLY: Final = 0o600


def passwd(
    file: Annotated[Path, Parameter(name="FILE", help="The file of users; made if there is none.")],
    user: Annotated[str | None, Parameter(name="USER", help="Whose password to set.")] = None,
    /,
    *,
    check: Annotated[
        bool,
        Parameter(help="Only say whether the password is the user's; exit status 1 if not.", negative=""),
    ] = False,
    remove: Annotated[bool, Parameter(help="Take the user out of the file.", negative="")] = False,
    list: Annotated[bool, Parameter(help="Print the names in the file.", negative="")] = False,  # noqa: A002
    stdin: Annotated[
        bool, Parameter(help="Read the password from standard input, its first line.", negative="")
    ] = False,
) -> int:
    """Write a file of users for listeners (?users=FILE), or check it.

    It is the file that libRIST's tools read and ristsrppasswd writes: names, salts and verifiers, no passwords. Who
    has it can try passwords against it all the same, so only its owner may read it. A listener that is running
    notices the change.
    """
    if check + remove + list > 1:
        raise InvalidOption("--check, --remove and --list exclude one another")
    users = _load(file, must_exist=check or remove or list)
    if list:
        for name in users.usernames:
            print(name)
        return 0
    if user is None:
        raise InvalidOption("USER is missing", hint="terzetto passwd FILE USER")
    if remove:
        if not users.remove(user):
            return _complain(f"{file} has no user {user!r}")
        _store(file, users)
        return 0
    password = _password(user, from_stdin=stdin, twice=not check)
    if check:
        if not users.check(user, password):
            return _complain(f"this is not the password of {user!r} in {file}, or there is no such user")
        return 0
    users.remove(user)
    for record in records_for_password(
        user, password, salts=(secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_SALT_SIZE))
    ):
        users.add(record)
    _store(file, users)
    return 0


def _load(file: Path, *, must_exist: bool) -> VerifierFile:
    try:
        return VerifierFile.decode(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if must_exist:
            raise InvalidOption(f"there is no file {file}") from exc
        return VerifierFile()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidOption(f"{file} cannot be read: {exc}") from exc


def _store(file: Path, users: VerifierFile) -> None:
    """Put a whole new file in the old one's place: a listener may read it at any time."""
    mode = file.stat().st_mode & 0o777 if file.exists() else _OWNER_ONLY
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
        ) as fresh:
            fresh.write(users.encode())
        os.chmod(fresh.name, mode)
        os.replace(fresh.name, file)
    except OSError as exc:
        raise InvalidOption(f"{file} cannot be written: {exc}") from exc


def _password(user: str, *, from_stdin: bool, twice: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidOption("there is no terminal to ask for the password", hint="use --stdin")
    password = getpass.getpass(f"Password of {user}: ")
    if twice and getpass.getpass("Once more: ") != password:
        raise InvalidOption("the two are not the same")
    return password


def _complain(message: str) -> int:
    print(f"terzetto: {message}", file=sys.stderr)
    return 1
