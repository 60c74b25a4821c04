"""libRIST's URL parameters, as options."""

from __future__ import annotations

from typing import Any

import pytest

from terzetto.errors import InvalidOption, InvalidUrl
from terzetto.rist.options import CongestionControl, RistKnobs, RistOptions, TimingMode
from terzetto.rist.url import options_from_url
from terzetto.url import parse_url


def options(query: str, base: RistOptions | None = None, **knobs: Any) -> RistOptions:
    return options_from_url(parse_url(f"rist://192.0.2.1:5000?{query}"), base, RistKnobs(**knobs))  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("buffer=500", {"buffer_min": 0.5, "buffer_max": 0.5}),
        ("buffer-min=200&buffer-max=800", {"buffer_min": 0.2, "buffer_max": 0.8}),
        ("buffer-min=200", {"buffer_min": 0.2, "buffer_max": 1.0}),
        ("buffer-max=800&buffer=500", {"buffer_min": 0.5, "buffer_max": 0.8}),
        ("reorder-buffer=30", {"reorder_buffer": 0.03}),
        ("rtt=100", {"rtt_min": 0.1, "rtt_max": 0.1}),
        ("rtt-min=10&rtt-max=200", {"rtt_min": 0.01, "rtt_max": 0.2}),
        ("rtt-multiplier=9", {"rtt_multiplier": 9}),
        ("min-retries=3&max-retries=30", {"min_retries": 3, "max_retries": 30}),
        ("bandwidth=5000", {"bandwidth": 5000}),
        ("return-bandwidth=64", {"return_bandwidth": 64}),
        ("congestion-control=0", {"congestion_control": CongestionControl.OFF}),
        ("congestion-control=aggressive", {"congestion_control": CongestionControl.AGGRESSIVE}),
        ("timing-mode=1", {"timing_mode": TimingMode.ARRIVAL}),
        ("timing-mode=rtc", {"timing_mode": TimingMode.RTC}),
        ("cname=studio%201", {"cname": "studio 1"}),
        ("profile=0", {"profile": "simple"}),
        ("profile=simple", {"profile": "simple"}),
        ("session-timeout=5000", {"session_timeout": 5.0}),
        ("keepalive-interval=250", {"keepalive_interval": 0.25}),
        ("keepalive=250", {"keepalive_interval": 0.25}),
        ("connect-timeout=3000", {"connect_timeout": 3.0}),
        ("miface=eth1", {"interface": "eth1"}),
        ("ttl=16", {"ttl": 16}),
        ("tos=184", {"tos": 184}),
        ("source=198.51.100.7", {"source": "198.51.100.7"}),
        ("local-port=6000", {"local_port": 6000}),
        ("rtp-ptype=96", {"rtp_ptype": 96}),
        ("payload-size=188", {"payload_size": 188}),
        ("flow-id=4242", {"flow_id": 4242}),
        ("nack-type=bitmask", {"nack_type": "bitmask"}),
        ("one-way=1", {"one_way": True}),
        ("fast-start=yes", {"fast_start": True}),
        ("tick=0", {"tick": 0.0}),
    ],
)
def test_parameters_have_librists_names_and_units(parameter: str, expected: dict[str, object]) -> None:
    chosen = options(parameter)
    assert {field: getattr(chosen, field) for field in expected} == expected


def test_a_keyword_beats_the_query_and_the_query_beats_the_options() -> None:
    base = RistOptions(bandwidth=1, rtt_multiplier=3, max_retries=50)
    chosen = options("bandwidth=2&rtt-multiplier=4", base, bandwidth=3)
    assert (chosen.bandwidth, chosen.rtt_multiplier, chosen.max_retries) == (3, 4, 50)


def test_the_short_form_of_the_buffer_is_a_keyword_too() -> None:
    chosen = options("buffer-min=100&buffer-max=900", buffer=0.3)
    assert (chosen.buffer_min, chosen.buffer_max) == (0.3, 0.3)
    chosen = options("", buffer=0.3, buffer_max=0.9)
    assert (chosen.buffer_min, chosen.buffer_max) == (0.3, 0.9)


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("bufer=5", "no parameter 'bufer'; did you mean buffer"),
        ("nonsense=5", "no parameter 'nonsense'; there are"),
        ("buffer=long", "buffer=long cannot be"),
        ("bandwidth=1.5", "bandwidth=1.5 cannot be"),
        ("congestion-control=3", "congestion-control=3 cannot be.*write one of"),
        ("nack-type=both", "nack-type=both cannot be"),
        ("one-way=perhaps", "one-way=perhaps cannot be"),
        ("profile=4", "profile=4 cannot be"),
        ("verbose-level=6", "verbose-level means nothing here; leave it out"),
        ("multiplex-mode=1", "multiplex-mode means nothing here"),
    ],
)
def test_what_cannot_be_is_explained(parameter: str, says: str) -> None:
    with pytest.raises(InvalidUrl, match=says):
        options(parameter, RistOptions(profile="simple"))


@pytest.mark.parametrize(
    "name", ["secret", "aes-type", "username", "password", "virt-dst-port", "key-rotation"]
)
def test_what_the_simple_profile_lacks_is_named_and_its_value_is_not_shown(name: str) -> None:
    with pytest.raises(InvalidUrl, match=f"{name} does not exist in the Simple profile") as refused:
        options(f"{name}=hushhush", profile="simple")
    assert "hushhush" not in str(refused.value)


def test_a_value_out_of_range_is_an_option_out_of_range() -> None:
    with pytest.raises(InvalidOption, match=r"buffer_m.. is 99\.999, must lie between"):
        options("buffer=99999")


def test_an_unknown_keyword_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InvalidOption, match=r"there is no option 'bufer'.*buffer_max"):
        options("", bufer=1)
