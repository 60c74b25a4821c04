"""``python -m terzetto`` and the ``terzetto`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; says how to get it where its packages are missing."""
    try:
        from terzetto.cli.app import run
    except ImportError as exc:
        if exc.name not in ("cyclopts", "rich"):
            raise
        print(
            f"terzetto: the command line needs the package {exc.name}, which is not installed.\n"
            "Install it with:  python -m pip install 'terzetto[cli]'",
            file=sys.stderr,
        )
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
