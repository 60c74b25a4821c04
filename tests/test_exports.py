"""The public surface: what it promises is there, and nothing is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import terzetto

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", terzetto.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    thing = getattr(terzetto, name)
    assert thing.__doc__, f"terzetto.{name} has no docstring"


def test_every_name_is_listed_and_has_a_home() -> None:
    assert sorted(terzetto.__all__) == sorted(terzetto._HOMES)
    assert set(terzetto.__all__) <= set(dir(terzetto))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'open_quic_stream'"):
        terzetto.open_quic_stream  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("used", "unloaded"),
    [
        ("open_rist_sender", ("terzetto.srt", "terzetto.rtsp")),
        ("open_srt_stream", ("terzetto.rist", "terzetto.rtsp")),
    ],
)
def test_one_protocol_does_not_load_the_others(used: str, unloaded: tuple[str, ...]) -> None:
    program = f"import sys, terzetto; terzetto.{used}; print([name for name in {unloaded!r} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
