"""``terzetto interfaces``."""

from __future__ import annotations

import json
import socket

import pytest

from terzetto.cli.app import run
from terzetto.cli.interfaces import suggestion
from terzetto.net.interfaces import Interface


def test_every_interface_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["interfaces"]) == 0
    printed = capsys.readouterr().out
    for _, name in socket.if_nameindex():
        assert name in printed


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["interfaces", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["name"] for each in found} == {name for _, name in socket.if_nameindex()}


def test_only_what_can_carry_multicast_is_suggested() -> None:
    assert suggestion(Interface(name="eth0", index=2, is_up=True, has_multicast=True)) == "eth0"
    assert suggestion(Interface(name="lo", index=1, is_up=True, has_multicast=False)) is None
    assert suggestion(Interface(name="eth1", index=3, is_up=False, has_multicast=True)) is None
