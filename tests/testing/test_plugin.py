"""The pytest plugin hands out a seeded network, and says on failure how to get the same run again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

INNER_TEST = """
import pytest, trio
from trio.testing import MockClock
from terzetto.net.endpoint import Address, EndpointOptions, Run

@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_inner(simulated_network, outcome):
    alice, bob = simulated_network.add_host("alice"), simulated_network.add_host("bob")

    async def main():
        tx = await alice.open_datagram_endpoint(EndpointOptions())
        await tx.send([Run(Address("10.0.0.2", 5000), [alice.entropy(8)])])

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert outcome == "pass"
"""


def run_pytest(directory: Path, *arguments: str) -> str:
    (directory / "test_inner.py").write_text(INNER_TEST)
    (directory / "pytest.ini").write_text("[pytest]\n" + "\n".join(arguments[:1]))
    # Installed or not, once: as an entry point where there is one, else by name.
    command = [
        sys.executable,
        "-c",
        LOAD_ONCE,
        "-p",
        "no:cacheprovider",
        "-q",
        str(directory),
        *arguments[1:],
    ]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        cwd=directory,
        check=False,
    )
    return done.stdout + done.stderr


LOAD_ONCE = """
import sys, pytest
from importlib.metadata import entry_points
installed = any(point.name == "terzetto" for point in entry_points(group="pytest11"))
sys.exit(pytest.main(sys.argv[1:] if installed else ["-p", "terzetto.testing.plugin", *sys.argv[1:]]))
"""


def told(output: str) -> tuple[str, str]:
    seed = re.search(r"seed (\S+) \(repeat with --terzetto-seed=(\S+)\)", output)
    trace = re.search(r"trace ([0-9a-f]{64}) over 1 packets", output)
    assert seed is not None, output
    assert trace is not None, output
    assert seed[1] == seed[2]
    return seed[1], trace[1]


@pytest.mark.slow
def test_a_failure_says_its_seed_and_the_seed_repeats_it(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "")
    assert "1 failed, 1 passed" in output
    assert output.count("seed 0") == 1  # the test that passed says nothing
    seed, trace = told(output)
    assert seed == "0"
    assert told(run_pytest(tmp_path, "")) == (seed, trace)
    other_seed, other_trace = told(run_pytest(tmp_path, "", "--terzetto-seed=42"))
    assert other_seed == "42"
    assert other_trace != trace


def test_the_seed_may_stand_in_the_ini_file(tmp_path: Path) -> None:
    seed, _trace = told(run_pytest(tmp_path, "terzetto_seed = from-the-file"))
    assert seed == "from-the-file"


def test_the_plugin_loads_no_network_until_asked() -> None:
    program = "import sys, terzetto.testing.plugin; print('terzetto.net.simulated' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
