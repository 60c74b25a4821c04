import attrs
import pytest

from terzetto.errors import InvalidOption, InvalidUrl, UnsupportedOperation
from terzetto.srt.options import Binding, SrtKnobs, SrtOptions, binding_of, with_knobs
from terzetto.srt.url import target_from_url


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"receive_latency": 70.0}, "receive_latency is 70.0.*between 0 and 65.535 seconds"),
        ({"latency": -1.0}, "latency is -1.0"),
        ({"overhead": 4}, "overhead is 4.*between 5 and 100 percent"),
        ({"key_length": 20}, "key_length is 20.*0, 16, 24, 32"),
        ({"crypto_mode": "cbc"}, "crypto_mode is 'cbc'"),
        ({"mss": 75}, "mss is 75"),
        ({"payload_size": 1457}, "payload_size is 1457"),
        ({"stream_id": "x" * 513}, "stream_id has 513 bytes"),
        ({"max_bandwidth": -2}, "max_bandwidth is -2"),
        ({"nak_report": 1}, "nak_report is 1"),
        ({"tos": 256}, "tos is 256"),
        ({"ttl": 0}, "ttl is 0"),
        ({"linger": -1.0}, "linger is -1.0"),
        ({"key_refresh_rate": 100, "key_preannounce": 50}, "key_preannounce is 50.*half of key_refresh_rate"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(knobs: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        with_knobs(None, knobs)


def test_a_passphrase_is_never_shown() -> None:
    with pytest.raises(InvalidOption) as caught:
        SrtOptions(passphrase="short")
    assert "short" not in str(caught.value)
    assert "5 bytes" in str(caught.value)
    assert "secret-secret" not in repr(SrtOptions(passphrase="secret-secret"))
    assert "secret-secret" not in str(target_from_url("srt://host:1?passphrase=secret-secret", None, {}))


def test_latency_sets_both_directions_and_one_direction_can_change_later() -> None:
    options = SrtOptions(latency=0.5)
    assert (options.receive_latency, options.peer_latency) == (0.5, 0.5)
    changed = with_knobs(options, {"receive_latency": 0.2})
    assert (changed.receive_latency, changed.peer_latency) == (0.2, 0.5)


def test_an_unknown_option_is_said() -> None:
    with pytest.raises(InvalidOption, match="no option 'latancy'"):
        with_knobs(None, {"latancy": 1})


def test_options_that_came_too_late_say_until_when_they_could_be_set() -> None:
    options = SrtOptions()
    assert options.changed(connected=True, overhead=40).overhead == 40
    with pytest.raises(UnsupportedOperation, match="mss can only be set before the socket is opened"):
        options.changed(connected=True, mss=1400)
    with pytest.raises(UnsupportedOperation, match="passphrase can only be set before connecting"):
        options.changed(connected=True, passphrase="0123456789")
    assert binding_of("max_bandwidth") is Binding.ANY_TIME


def test_the_keywords_are_the_fields() -> None:
    assert set(SrtKnobs.__annotations__) == {field.name for field in attrs.fields(SrtOptions)}


def test_urls_use_the_names_and_units_of_srt_live_transmit() -> None:
    target = target_from_url(
        "srt://host.example:9000?latency=250&streamid=%23!::r=cam&passphrase=a%20secret%20here&pbkeylen=24"
        "&maxbw=0&inputbw=1000000&oheadbw=30&tlpktdrop=no&conntimeo=5000&lossmaxttl=40&cryptomode=2&linger=2"
        "&minversion=1.4.0&mode=caller&transtype=live&kmrefreshrate=1000&kmpreannounce=100&snddropdelay=50",
        None,
        {},
    )
    options = target.options
    assert not target.listen
    assert (target.host, target.port) == ("host.example", 9000)
    assert (options.latency, options.stream_id, options.passphrase) == (0.25, "#!::r=cam", "a secret here")
    assert (options.key_length, options.max_bandwidth, options.input_bandwidth) == (24, 0, 1_000_000)
    assert (options.overhead, options.too_late_drop, options.connect_timeout) == (30, False, 5.0)
    assert (options.loss_max_ttl, options.crypto_mode, options.linger) == (40, "gcm", 2)
    assert (options.min_version, options.key_refresh_rate, options.send_drop_delay) == (0x010400, 1000, 0.05)


@pytest.mark.parametrize(
    ("url", "listen", "host"),
    [
        ("srt://:9000", True, ""),
        ("srt://@:9000", True, ""),
        ("srt://@192.0.2.1:9000", True, "192.0.2.1"),
        ("srt://192.0.2.1:9000?mode=listener", True, "192.0.2.1"),
        ("srt://:9000?adapter=192.0.2.1", True, "192.0.2.1"),
        ("srt://192.0.2.1:9000", False, "192.0.2.1"),
        ("srt://192.0.2.1:9000?mode=client", False, "192.0.2.1"),
    ],
)
def test_who_calls_and_who_listens(url: str, listen: bool, host: str) -> None:
    target = target_from_url(url, None, {})
    assert (target.listen, target.host) == (listen, host)


def test_keywords_beat_the_query_and_the_query_beats_the_options() -> None:
    base = SrtOptions(overhead=10, loss_max_ttl=5, key_length=16)
    options = target_from_url("srt://h:1?oheadbw=20&lossmaxttl=6", base, {"overhead": 30}).options
    assert (options.overhead, options.loss_max_ttl, options.key_length) == (30, 6, 16)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("srt://:1?mode=rendezvous", InvalidUrl, "the peer"),
        ("srt://h:1?rcvlatency=120000", InvalidUrl, "ffmpeg.*rcvlatency=120"),
        ("srt://h:1?minversion=new", InvalidUrl, "1.4.0"),
        ("srt://h:1?pbkeylen=20", InvalidOption, "key_length"),
    ],
)
def test_urls_that_cannot_be_say_what_to_write(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        target_from_url(url, None, {})


def test_a_latency_that_ffmpeg_would_count_in_microseconds_is_doubted() -> None:
    assert not target_from_url("srt://h:1?latency=9000", None, {}).doubt
    for url, knobs in (("srt://h:1?latency=50000", {}), ("srt://h:1", {"peer_latency": 50.0})):
        assert "latency=50 if 50 ms were meant" in target_from_url(url, None, knobs).doubt
