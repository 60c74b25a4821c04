import json

from terzetto.srt.statistics import CSV_COLUMNS, SrtStatistics


def test_an_interval_is_the_difference_of_counters_and_the_present_of_gauges() -> None:
    earlier = SrtStatistics(
        elapsed=10, sent=100, bytes_sent=1000, round_trip=0.5, malformed={"odd": 1, "short": 2}
    )
    later = SrtStatistics(
        elapsed=12, sent=150, bytes_sent=3000, round_trip=0.1, malformed={"odd": 4, "short": 2}
    )
    interval = later.since(earlier)
    assert (interval.elapsed, interval.sent, interval.bytes_sent, interval.round_trip) == (2, 50, 2000, 0.1)
    assert interval.malformed == {"odd": 3}


def test_libsrts_names_and_units() -> None:
    statistics = SrtStatistics(
        elapsed=2.0,
        round_trip=0.0123,
        bytes_sent=1_000_000,
        lost=10,
        recovered=8,
        unrecovered=2,
        missing=1,
        undecrypted=3,
        belated=4,
        belated_time=0.2,
        link_capacity=1000,
    )
    named = statistics.to_libsrt()
    assert named["msRTT"] == 12.3
    assert named["mbpsSendRate"] == 4.0
    assert (named["pktRcvLoss"], named["pktRcvDrop"], named["pktRcvAvgBelatedTime"]) == (11, 5, 50.0)
    assert named["mbpsBandwidth"] == 12.0


def test_an_interval_and_the_whole_stand_beside_one_another_as_in_libsrt() -> None:
    earlier = SrtStatistics(elapsed=10, sent=100, received=50, lost=4, recovered=4, bytes_sent=1000)
    later = SrtStatistics(
        elapsed=12, sent=160, received=80, lost=6, recovered=5, unrecovered=1, bytes_sent=9000
    )
    named = later.to_libsrt(since=earlier)
    assert (named["pktSent"], named["pktSentTotal"]) == (60, 160)
    assert (named["pktRcvLoss"], named["pktRcvLossTotal"]) == (2, 6)
    assert (named["pktRcvDrop"], named["pktRcvDropTotal"]) == (1, 1)
    assert named["mbpsSendRate"] == 8000 * 8 / 1e6 / 2
    assert named["msTimeStamp"] == 12_000
    whole = later.to_libsrt()
    assert whole["pktSent"] == whole["pktSentTotal"] == 160


def test_reports_have_srt_live_transmits_shape() -> None:
    statistics = SrtStatistics(elapsed=1.5, sent=7, received=9)
    report = statistics.to_json(socket_id=42, timepoint="2026-01-01T00:00:00.000000+0000")
    assert json.loads(json.dumps(report)) == report
    assert (report["sid"], report["time"]) == (42, 1500)
    assert (report["send"]["packets"], report["recv"]["packets"]) == (7, 9)
    assert set(report) == {"sid", "timepoint", "time", "window", "link", "send", "recv"}
    cells = statistics.to_csv(socket_id=42, timepoint="now").split(",")
    assert len(cells) == len(CSV_COLUMNS)
    assert cells[CSV_COLUMNS.index("pktSent")] == "7"
    assert cells[CSV_COLUMNS.index("pktRecv")] == "9"
