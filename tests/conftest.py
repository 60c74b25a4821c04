"""What holds for every test."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing about us.
settings.register_profile("whole", deadline=None)
settings.load_profile("whole")
# Where the same strategies were tried at length on another Python, a few examples of each are enough.
settings.register_profile("brief", max_examples=20, deadline=None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test against a real peer fail where the peer is missing, when these tests were asked for."""
    report = yield
    if report.skipped and _was_asked_for(item):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs a real peer and may not be skipped: {reason}"
    return report


def _was_asked_for(item: pytest.Item) -> bool:
    return item.get_closest_marker("interop") is not None and item.config.option.markexpr == "interop"
