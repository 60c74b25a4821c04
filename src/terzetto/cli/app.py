"""The table of commands; each is imported when it is asked for."""

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
    "impair": "terzetto.cli.impair:impair",
}
"""Name of each command and the function that carries it out."""

app = App(
    name="terzetto",
    version=__version__,
    help="Live media transport: RIST, SRT and RTSP.",
    result_action="return_value",
)
for _name, _function in COMMANDS.items():
    app.command(_function, name=_name)


def run(argv: Sequence[str]) -> int:
    """Run the command line *argv*; the exit status: 0 done, 1 failed, 2 asked for something that cannot be."""
    try:
        result = app(list(argv), exit_on_error=False)
    except CycloptsError:
        return 2
    except CallerError as exc:
        print(f"terzetto: {exc}", file=sys.stderr)
        return 2
    except TerzettoError as exc:
        print(f"terzetto: {exc}", file=sys.stderr)
        return 1
    return result if isinstance(result, int) else 0
