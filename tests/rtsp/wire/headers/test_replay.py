"""Rate-Control, Immediate and Frames."""

from __future__ import annotations

import pytest

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.replay import Replay


@pytest.mark.parametrize(
    ("replay", "fields"),
    [
        (Replay(), {"Rate-Control": "yes"}),
        (Replay(rate_control=False, immediate=True), {"Rate-Control": "no", "Immediate": "yes"}),
        (Replay(frames="predicted"), {"Rate-Control": "yes", "Frames": "predicted"}),
        (Replay(frames="intra"), {"Rate-Control": "yes", "Frames": "intra"}),
        (Replay(frames="intra", intra_interval=4_000_000), {"Rate-Control": "yes", "Frames": "intra/4000"}),
    ],
)
def test_what_is_written_is_read(replay: Replay, fields: dict[str, str]) -> None:
    written = Fields()
    replay.write(written)
    assert dict(written.items()) == fields
    assert Replay.parse(written) == replay


def test_a_server_that_is_told_nothing_sends_everything_at_its_own_pace() -> None:
    assert Replay.parse(Fields()) == Replay()


@pytest.mark.parametrize(
    "fields",
    [
        {"Frames": "some"},
        {"Frames": "all/40"},
        {"Frames": "intra/x"},
        {"Immediate": "now"},
        {"Rate-Control": "1"},
    ],
)
def test_nonsense_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(MalformedPacket):
        Replay.parse(Fields(fields))
