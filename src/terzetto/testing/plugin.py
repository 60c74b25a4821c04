"""The pytest plugin: a seeded simulated network for every test that asks for one.

Loaded by pytest wherever terzetto is installed, so it costs nothing until used: no trio and no network is imported
before a test asks for the fixture.

``simulated_network``   a `terzetto.testing.SimulatedNetwork` and deterministic scheduling, both from the seed
``--terzetto-seed``     the seed for this run; without it the ini option ``terzetto_seed``, and then 0

A test that fails prints its seed and the hash of its packet trace; the same seed gives the same run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["simulated_network"]

DEFAULT_SEED: Final = "0"

_NETWORK: Final = pytest.StashKey["SimulatedNetwork"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--terzetto-seed`` and ``terzetto_seed``."""
    text = "seed of the simulated networks of terzetto.testing"
    parser.getgroup("terzetto").addoption("--terzetto-seed", metavar="SEED", default=None, help=text)
    parser.addini("terzetto_seed", text, default=DEFAULT_SEED)


@pytest.fixture
def simulated_network(request: pytest.FixtureRequest) -> Iterator[SimulatedNetwork]:
    """A `SimulatedNetwork` of this run's seed; trio schedules by that seed too while the test runs."""
    from terzetto.net.simulated.network import SimulatedNetwork
    from terzetto.testing.scheduling import deterministic_scheduling

    seed = request.config.getoption("--terzetto-seed") or request.config.getini("terzetto_seed")
    network = SimulatedNetwork(seed)
    request.node.stash[_NETWORK] = network
    with deterministic_scheduling(seed):
        yield network


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure say which seed it came from."""
    report = yield
    network = item.stash.get(_NETWORK, None)
    if network is not None and report.failed:
        report.sections.append(("simulated network", _summary(network)))
    return report


def _summary(network: SimulatedNetwork) -> str:
    packets = network.trace.packets
    lines = [
        f"seed {network.seed} (repeat with --terzetto-seed={network.seed})",
        f"trace {network.trace.hash()} over {len(packets) + network.trace.forgotten} packets",
    ]
    return "\n".join(lines)
