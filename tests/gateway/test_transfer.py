"""Whole files between a path and a peer, from the command line and below it."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from pathlib import Path

import pytest

from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.gateway.transfer import plan_transfer
from tests.cli.helpers import command, free_pair, started


@pytest.mark.slow
def test_a_file_goes_over_from_the_command_line_and_both_sides_show_its_digest(tmp_path: Path) -> None:
    source, folder = tmp_path / "film.bin", tmp_path / "in"
    source.write_bytes(random.Random(1).randbytes(700_001))
    folder.mkdir()
    port = free_pair()
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    query = "transtype=file&passphrase=correct-horse-battery&conntimeo=20000"
    with started(
        "relay", "--json", f"srt://127.0.0.1:{port}?mode=listener&{query}", f"file:{folder}"
    ) as receiver:
        sent = subprocess.run(
            command("relay", f"file:{source}", f"srt://127.0.0.1:{port}?{query}"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert sent.returncode == 0, sent.stderr
        output, _ = receiver.communicate(timeout=30)
    told = json.loads(output)
    assert told["sha256"] == digest
    assert told["direction"] == "received"
    assert digest in sent.stderr
    assert (folder / "film.bin").read_bytes() == source.read_bytes()


def test_what_is_no_transfer_is_left_to_routes() -> None:
    assert plan_transfer("udp://@:1", ["srt://h:1"]) is None
    assert plan_transfer("file:x.ts", ["srt://h:1"]) is None
    assert plan_transfer("file:x.ts", ["udp://h:1"]) is None


def test_mistakes_are_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrl, match="there is no file"):
        plan_transfer(f"file:{tmp_path}/absent", ["srt://h:1?transtype=file"])
    with pytest.raises(InvalidUrl, match="there is no directory"):
        plan_transfer("srt://:1?transtype=file", [f"file:{tmp_path}/absent/x"])
    with pytest.raises(UnsupportedOperation, match="one whole file"):
        plan_transfer("udp://@:1", ["srt://h:1?transtype=file"])
    with pytest.raises(UnsupportedOperation, match="no message"):
        plan_transfer("srt://:1?transtype=file&messageapi=1", [f"file:{tmp_path}/x"])
