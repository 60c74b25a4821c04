"""The table of commands, and how they end.

A command is a function that returns its exit status: 0 when the job was done, 1 when the peer or the machine did
not allow it, 2 when the command line has to change, 130 when it was told to stop at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from terzetto import __version__
from terzetto.errors import CallerError, TerzettoError

__all__ = ["COMMANDS", "app", "run"]

COMMANDS: Final = {
    "demo": "terzetto.cli.demo:demo",
    "relay": "terzetto.cli.relay:relay",
    "impair": "terzetto.cli.impair:impair",
    "interfaces": "terzetto.cli.interfaces:interfaces",
    "passwd": "terzetto.cli.passwd:passwd",
}
"""Name of each command and the function that carries it out; it is imported when it is called for."""

app = App(
    name="terzetto",
    version=__version__,
    version_flags=["--version"],
    help="Live media transport: RIST, SRT and RTSP.",
    result_action="return_value",
)
for _name, _function in COMMANDS.items():
    app.command(_function, name=_name)


def run(argv: Sequence[str]) -> int:
    """Run the command line *argv*; the exit status. A mistake becomes one readable line on standard error."""
    try:
        result = app(list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as exc:
        command = next((word for word in argv if word in COMMANDS), "")
        told = " ".join(str(exc).split())
        return _fail(f"{told} See: terzetto {command + ' ' if command else ''}--help", 2)
    except CallerError as exc:
        return _fail(str(exc), 2)
    except TerzettoError as exc:
        return _fail(str(exc), 1)
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int) -> int:
    print(f"terzetto: {message}", file=sys.stderr)
    return status
