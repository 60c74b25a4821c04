"""What terzetto.testing offers is there, and its map names it."""

from __future__ import annotations

import pytest

import terzetto.testing


@pytest.mark.parametrize("name", terzetto.testing.__all__)
def test_everything_promised_exists(name: str) -> None:
    assert getattr(terzetto.testing, name) is not None
    assert name in dir(terzetto.testing)


def test_nothing_else_does() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wormhole'"):
        terzetto.testing.Wormhole  # noqa: B018
