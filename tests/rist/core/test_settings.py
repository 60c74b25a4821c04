"""Options in the cores' unit."""

from __future__ import annotations

from terzetto.rist.core.settings import Settings
from terzetto.rist.options import RistOptions


def test_the_defaults_are_librists() -> None:
    settings = Settings.of(RistOptions())
    assert (settings.buffer_min, settings.buffer_max) == (1_000_000, 1_000_000)
    assert settings.reorder == 15_000
    assert (settings.rtt_min, settings.rtt_max) == (5_000, 500_000)
    assert (settings.min_retries, settings.max_retries) == (6, 20)
    assert (settings.bandwidth, settings.return_bandwidth) == (100_000_000, 0)
    assert settings.report_interval == 100_000
    assert settings.session_timeout == 2_000_000
    assert settings.missing_limit == 3571


def test_all_requests_fit_the_buffer_however_short_the_round_trip() -> None:
    settings = Settings.of(RistOptions())
    assert settings.request_interval(0) == 55_000
    assert settings.request_interval(0) * 20 >= settings.buffer_min


def test_a_long_round_trip_sets_the_pace_up_to_its_limit() -> None:
    settings = Settings.of(RistOptions())
    assert settings.request_interval(200_000) == 220_000
    assert settings.request_interval(10_000_000) == 550_000


def test_round_trips_are_kept_within_limits() -> None:
    settings = Settings.of(RistOptions(rtt_min=0.02, rtt_max=0.3))
    assert [settings.clamp_round_trip(each) for each in (0, 50_000, 10**9)] == [20_000, 50_000, 300_000]


def test_one_way_is_always_a_fast_start() -> None:
    assert Settings.of(RistOptions(one_way=True)).fast_start
    assert not Settings.of(RistOptions()).fast_start
