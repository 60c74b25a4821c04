"""PyAV, which is there only with the extra ``av``."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType

from terzetto.errors import MissingExtra

__all__ = ["import_av", "is_installed", "lenient_metadata"]

# From this version on PyAV reads names that are no text as they are, and knows no option for it.
_READS_ANY_NAME = 19


def is_installed() -> bool:
    """Whether `import_av` will succeed."""
    return find_spec("av") is not None


def import_av() -> ModuleType:
    """PyAV's module; `MissingExtra` when it is not installed."""
    try:
        import av
        import av.container
    except ImportError as exc:
        raise MissingExtra(
            "pictures and sound go into and out of MPEG transport streams by PyAV, which is not installed",
            hint='pip install "terzetto[av]"',
        ) from exc
    return av


def lenient_metadata(av: ModuleType) -> dict[str, str]:
    """What has ``av.open`` take a language or a name that is no text, as strangers may send it."""
    major = int(str(av.__version__).partition(".")[0])
    return {} if major >= _READS_ANY_NAME else {"metadata_errors": "ignore"}
