"""Tests against real peers fail where a peer is missing: a skipped one would look like a passed one."""

from __future__ import annotations

import shutil

import pytest

# Where Debian has them.
PACKAGES = {
    "ristsender": "rist-tools",
    "ristreceiver": "rist-tools",
    "ffmpeg": "ffmpeg",
    "tshark": "tshark",
    # With gstreamer1.0-plugins-base, -good (rtpst2022-1-fecdec and -fecenc) and -bad.
    "gst-launch-1.0": "gstreamer1.0-tools",
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program, ...): the programs that a test runs")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        missing = [name for name in mark.args if shutil.which(name) is None]
        if missing:
            packages = sorted({PACKAGES.get(name, name) for name in missing})
            pytest.fail(f"{', '.join(missing)} missing: install {' '.join(packages)}", pytrace=False)
