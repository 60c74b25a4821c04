"""The users that a listener lets in: from libRIST's verifier file, read again when it changes, or a single one."""

from __future__ import annotations

import os
from typing import Final

import trio

from terzetto.crypto.srp import PADDED, UNPADDED, ZERO_STATE
from terzetto.crypto.verifier import UserRecord, VerifierFile, records_for_password
from terzetto.driver.clock import current_micros
from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.core.guess_limiter import GuessLimiter
from terzetto.rist.core.srp_dialects import SrpDialects
from terzetto.rist.core.srp_users import FindUser, SrpUsers
from terzetto.rist.core.tunnel_settings import Credentials
from terzetto.rist.options import RistOptions, SrpCompat

__all__ = ["UserFile", "credentials_of"]

_SALT_SIZE: Final = 32
_LARGEST_FILE: Final = 64 << 20

# A login a second asks at most; a change takes effect within as much.
_LOOK_AGAIN_AFTER: Final[Micros] = MICROS_PER_SECOND

_DIALECTS: Final[dict[SrpCompat, SrpDialects]] = {
    "auto": SrpDialects(),
    "padded": SrpDialects((PADDED,), ()),
    "unpadded": SrpDialects((UNPADDED,), ()),
    "zero-state": SrpDialects((), (ZERO_STATE,)),
    "legacy": SrpDialects((), (UNPADDED, ZERO_STATE)),
}


class UserFile:
    """A verifier file that may change while it is in use; a change that cannot be read leaves the old users."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._users = VerifierFile()
        self._stamp: tuple[int, int] | None = None
        self._looked_at: Micros | None = None

    async def load(self) -> None:
        """Read it for the first time; InvalidOption says what is wrong with it."""
        await trio.to_thread.run_sync(self._read)

    def find(self, username: str, hash_version: int) -> UserRecord | None:
        """The user's record, of the file as it is now."""
        now = current_micros()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_AFTER:
            self._looked_at = now
            try:
                self._read()
            except InvalidOption:
                # Half written, most likely; the next look will tell.
                pass
        return self._users.find(username, hash_version)

    def _read(self) -> None:
        try:
            stat = os.stat(self._path)
            stamp = stat.st_mtime_ns, stat.st_size
            if stamp == self._stamp:
                return
            if stat.st_size > _LARGEST_FILE:
                raise InvalidOption(f"users: {self._path} has {stat.st_size} bytes, at most {_LARGEST_FILE}")
            with open(self._path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as exc:
            raise InvalidOption(
                f"users: {self._path} cannot be read: {exc}", hint="terzetto passwd FILE USER writes one"
            ) from exc
        try:
            self._users = VerifierFile.decode(text)
        except InvalidOption as exc:
            raise InvalidOption(f"users: {self._path}: {exc}") from exc
        self._stamp = stamp


async def credentials_of(
    options: RistOptions, *, is_caller: bool, entropy: EntropySource
) -> Credentials | None:
    """How to log in, or to let others in; None where neither is asked for."""
    dialects = _DIALECTS[options.srp_compat]
    if is_caller:
        if options.users is not None:
            raise InvalidOption(
                "users are for a listener, and this end calls", hint="give username and password instead"
            )
        if options.username is None or options.password is None:
            return None
        return Credentials(username=options.username, password=options.password, dialects=dialects)
    find: FindUser
    if options.users is not None:
        file = UserFile(options.users)
        await file.load()
        find = file.find
    elif options.username is not None and options.password is not None:
        salts = entropy(_SALT_SIZE), entropy(_SALT_SIZE)
        find = VerifierFile(records_for_password(options.username, options.password, salts=salts)).find
    else:
        return None
    return Credentials(
        users=SrpUsers(find, entropy=entropy), limiter=GuessLimiter(now=current_micros()), dialects=dialects
    )
