"""Every knob: its default, its limits, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from terzetto.errors import CallerError, InvalidOption
from terzetto.primitives.reconnection import Reconnection
from terzetto.rist.options import CongestionControl, RistKnobs, RistOptions, TimingMode

# Field, a value at each end of its range, a value beyond each, and something of the wrong kind.
LIMITS: list[tuple[str, list[Any], list[Any]]] = [
    ("buffer_min", [0.0, 1.0], [-0.001, float("nan"), "1", None, True]),
    ("buffer_max", [1.0, 30], [0.0, 30.1, float("inf"), "1", None]),
    ("reorder_buffer", [0.0, 1.0], [-1, 31, "15"]),
    ("rtt_min", [0.003, 0.5], [0.002, 31, "5"]),
    ("rtt_max", [0.005, 30], [0.001, 30.5, "5"]),
    ("rtt_multiplier", [1, 100], [0, 101, 2.5, "7"]),
    ("min_retries", [2, 20], [1, 101, 2.0, "6"]),
    ("max_retries", [6, 100], [1, 101, 20.0, "20"]),
    ("bandwidth", [1, 100_000_000], [0, 100_000_001, 1.5, "1"]),
    ("return_bandwidth", [0, 100_000_000], [-1, 100_000_001, 1.5]),
    ("congestion_control", [0, 2, "normal"], [3, -1, "fast", None, True]),
    ("timing_mode", [0, 2, "arrival"], [3, -1, "ntp", None]),
    ("nack_type", ["range", "bitmask"], ["both", 0, None]),
    ("one_way", [True, False], [1, "yes", None]),
    ("fast_start", [True, False], [1, "yes"]),
    ("cname", ["", "x" * 127, "ü" * 63], ["x" * 128, "ü" * 64, 5, None]),
    ("session_timeout", [0.25, 3600], [0.2, 3601, "2", None]),
    ("connect_timeout", [None, 0.001, 86400], [0, -1, "5"]),
    ("keepalive_interval", [0.01, 1.9], [0.001, 11, "1"]),
    ("payload_size", [1, 9972], [0, 9973, 1316.0, "1316"]),
    ("rtp_ptype", [0, 127], [-1, 128, 33.0]),
    ("flow_id", [None, 0, 0xFFFF_FFFE], [-2, 1 << 32, 2.0, "2"]),
    ("interface", [None, "eth0"], [5]),
    ("ttl", [None, 0, 255], [-1, 256, 1.5]),
    ("tos", [None, 0, 255], [-1, 256]),
    ("source", [None, "192.0.2.1"], [5]),
    ("local_port", [0, 65534], [-2, 65536, 2.0, "5000"]),
    ("tick", [0.0, 0.1], [-0.001, 0.2, "1"]),
    ("reconnect", [None, Reconnection(longest=9)], [True, 5, "often"]),
    ("delivery_limit", [64, 1_000_000], [63, 1_000_001, 64.5]),
    ("profile", ["simple", "main", "advanced"], ["adv", 0, None]),
]
IN_SIMPLE = {field for field, _, _ in LIMITS}


def test_the_table_knows_every_knob_of_the_simple_profile() -> None:
    here = {field.name for field in attrs.fields(RistOptions)}
    assert here >= IN_SIMPLE


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, good, _ in LIMITS for value in good])
def test_values_within_the_range_are_taken(field: str, value: Any) -> None:
    more = {"congestion_control": CongestionControl, "timing_mode": TimingMode}
    options = RistOptions(**{field: value})
    if field not in more:
        assert getattr(options, field) == value


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, _, bad in LIMITS for value in bad])
def test_other_values_are_refused_with_an_error_that_names_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(InvalidOption) as refused:
        RistOptions(**{field: value})
    message = str(refused.value)
    assert message.startswith(f"{field} ")
    assert repr(value) in message or "bytes" in message
    assert "must" in message
    assert isinstance(refused.value, CallerError)
    assert isinstance(refused.value, ValueError)


def test_a_range_is_told_with_its_unit() -> None:
    with pytest.raises(InvalidOption, match=r"buffer_max is 99\.5, must lie between 0\.001 and 30 seconds"):
        RistOptions(buffer_max=99.5)
    with pytest.raises(
        InvalidOption, match="bandwidth is 0, must be a whole number between 1 and 100000000 kbit/s"
    ):
        RistOptions(bandwidth=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"buffer_min": 2.0}, "buffer_min is 2 s, must not exceed buffer_max, 1 s"),
        ({"rtt_min": 0.6}, "rtt_min is 0.6 s, must not exceed rtt_max, 0.5 s"),
        ({"min_retries": 21}, "min_retries is 21, must not exceed max_retries, 20"),
        ({"reorder_buffer": 1.5}, "reorder_buffer is 1.5 s, must not exceed buffer_max, 1 s"),
        ({"keepalive_interval": 2.0}, "keepalive_interval is 2 s, must be less than session_timeout, 2 s"),
        ({"flow_id": 7}, "flow_id is 7, must be even"),
        ({"local_port": 5001, "profile": "simple"}, "local_port is 5001, must be even.*use 5000"),
    ],
)
def test_combinations_that_cannot_work_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        RistOptions(**options)


def test_the_shortest_buffer_does_not_argue_with_the_default_reorder_time() -> None:
    assert RistOptions(buffer_min=0.005, buffer_max=0.005).buffer_max == 0.005


@pytest.mark.parametrize("given", [2, "aggressive", "AGGRESSIVE", CongestionControl.AGGRESSIVE])
def test_modes_are_taken_by_number_and_by_name(given: Any) -> None:
    assert RistOptions(congestion_control=given).congestion_control is CongestionControl.AGGRESSIVE


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        InvalidOption, match=r"timing_mode is 5, must be one of 0 \(source\), 1 \(arrival\), 2 \(rtc\)"
    ):
        RistOptions(timing_mode=5)


def test_the_keywords_are_the_options_and_the_short_form_of_the_buffer() -> None:
    fields = {field.name for field in attrs.fields(RistOptions)}
    assert set(RistKnobs.__annotations__) == fields | {"buffer"}


def test_every_option_is_documented() -> None:
    import ast
    import inspect

    [definition] = ast.parse(inspect.getsource(RistOptions)).body
    assert isinstance(definition, ast.ClassDef)
    for here, after in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(here, ast.AnnAssign):
            assert isinstance(after, ast.Expr), f"{ast.unparse(here.target)} has no description"


def test_options_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RistOptions().buffer_min = 5  # type: ignore[misc]
