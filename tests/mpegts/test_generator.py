from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import InvalidOption
from terzetto.mpegts.alignment import is_aligned
from terzetto.mpegts.generator import DATA_PID, LOWEST_BITRATE, PCR_PID, PMT_PID, TsGenerator
from terzetto.mpegts.packet import NULL_PID, PACKET_SIZE, TsHeader, read_pid
from terzetto.mpegts.pcr import PCR_WRAP, find_pcrs
from terzetto.mpegts.psi import PAT_PID, ProgramAssociation, ProgramMap, unpack_section

rates = st.sampled_from([LOWEST_BITRATE, 1_000_003, 8_000_000, 100_000_000, 1_000_000_000])


def split(data: bytes) -> list[bytes]:
    return [data[start : start + PACKET_SIZE] for start in range(0, len(data), PACKET_SIZE)]


@given(rates, st.integers(0, 2**64), st.lists(st.integers(0, 300), max_size=6))
def test_the_stream_does_not_depend_on_how_it_is_taken(rate: int, seed: int, counts: list[int]) -> None:
    generator = TsGenerator(rate, seed=seed)
    parts = [generator.take(count) for count in counts]
    assert [len(part) for part in parts] == [count * PACKET_SIZE for count in counts]
    assert b"".join(parts) == TsGenerator(rate, seed=seed).take(sum(counts))
    assert generator.packets_made == sum(counts)


def test_another_seed_is_another_stream() -> None:
    assert TsGenerator(10**6, seed=1).take(10) != TsGenerator(10**6, seed=2).take(10)


@pytest.mark.parametrize("rate", [LOWEST_BITRATE, 5_000_000, 300_000_000])
def test_the_clock_comes_often_and_is_right(rate: int) -> None:
    generator = TsGenerator(rate)
    data = generator.take(3_000)
    marks = find_pcrs(data)
    assert marks[0].offset == 0
    for mark in marks:
        assert mark.pcr == mark.offset * 8 * 27_000_000 // rate % PCR_WRAP
    longest = max(later.pcr - earlier.pcr for earlier, later in pairwise(marks))
    assert longest <= 40 * 27_000


def test_the_tables_describe_the_stream() -> None:
    by_pid = {read_pid(packet): packet for packet in split(TsGenerator(5_000_000).take(50))}
    association = ProgramAssociation.decode(unpack_section(by_pid[PAT_PID]))
    assert association.programs == ((1, PMT_PID),)
    program = ProgramMap.decode(unpack_section(by_pid[PMT_PID]))
    assert program.pcr_pid == PCR_PID
    assert [stream.pid for stream in program.streams] == [DATA_PID]


@pytest.mark.parametrize("data_bitrate", [None, 3_000_000, 0])
def test_continuity_counters_count_payloads(data_bitrate: int | None) -> None:
    last: dict[int, int] = {}
    data = TsGenerator(8_000_000, data_bitrate=data_bitrate).take(3_000)
    assert is_aligned(data)
    for header in map(TsHeader.decode, split(data)):
        if header.pid != NULL_PID and header.pid in last:
            assert header.continuity == (last[header.pid] + header.has_payload) % 16
        last[header.pid] = header.continuity


@pytest.mark.parametrize(("share", "nulls"), [(None, 0.0), (6_000_000, 0.23), (0, 0.98)])
def test_nulls_fill_what_the_data_does_not(share: int | None, nulls: float) -> None:
    pids = Counter(map(read_pid, split(TsGenerator(8_000_000, data_bitrate=share).take(5_000))))
    assert pids[NULL_PID] / 5_000 == pytest.approx(nulls, abs=0.01)
    if share is not None:
        assert pids[DATA_PID] / 5_000 == pytest.approx(share / 8_000_000, abs=0.01)


@given(rates, st.lists(st.integers(0, 40_000), max_size=6), st.sampled_from([1, 7]))
def test_packets_leave_when_they_are_due(rate: int, pauses: list[int], multiple: int) -> None:
    generator = TsGenerator(rate)
    elapsed = 0
    for pause in pauses:
        elapsed += min(pause, 40_000_000_000 // rate)
        size = len(generator.take_due(elapsed, multiple=multiple))
        assert size % (multiple * PACKET_SIZE) == 0
        made = generator.packets_made
        assert made == 0 or generator.due(made - 1) <= elapsed
        assert generator.due(made + multiple - 1) > elapsed


@pytest.mark.parametrize(
    ("rate", "data_bitrate", "message"),
    [
        (LOWEST_BITRATE - 1, None, "bitrate is 249999 and must be at least 250000"),
        (10**6, -1, "data_bitrate is -1"),
        (10**6, 10**6 + 1, "between 0 and bitrate"),
    ],
)
def test_an_impossible_stream_is_refused(rate: int, data_bitrate: int | None, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        TsGenerator(rate, data_bitrate=data_bitrate)


@pytest.mark.interop
@pytest.mark.parametrize("data_bitrate", [None, 2_000_000])
def test_ffprobe_recognises_programme_clock_and_rate(tmp_path: Path, data_bitrate: int | None) -> None:
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None, "ffprobe is not installed"
    path = tmp_path / "generated.ts"
    path.write_bytes(TsGenerator(5_000_000, seed=7, data_bitrate=data_bitrate).take(10_000))
    probed = subprocess.run(
        [ffprobe, "-v", "error", "-show_programs", "-show_format", "-of", "json", str(path)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    report = json.loads(probed.stdout)
    (program,) = report["programs"]
    assert (program["program_num"], program["pmt_pid"], program["pcr_pid"]) == (1, PMT_PID, PCR_PID)
    assert [int(stream["id"], 16) for stream in program["streams"]] == [DATA_PID]
    assert report["format"]["format_name"] == "mpegts"
    assert float(report["format"]["duration"]) == pytest.approx(10_000 * 188 * 8 / 5_000_000, abs=0.1)
