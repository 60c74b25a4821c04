from __future__ import annotations

from terzetto.rtp.header import pack_header
from terzetto.rtsp.core.picture_cache import PictureCache
from terzetto.rtsp.wire.description import Format, Media

VIDEO = Media(kind="video", formats=(Format(payload_type=96, encoding="H264", clock_rate=90_000),))
AUDIO = Media(kind="audio", formats=(Format(payload_type=97, encoding="opus", clock_rate=48_000),))
SPS, PPS, IDR, SLICE = (bytes((kind,)) + b"x" * 20 for kind in (0x67, 0x68, 0x65, 0x41))


def picture(number: int, *units: bytes) -> list[bytes]:
    return [pack_header(96, number * 10 + index, number * 3600, 7) + unit for index, unit in enumerate(units)]


def sound(number: int) -> list[bytes]:
    return [pack_header(97, number, number * 960, 8) + b"s" * 20]


def test_everything_since_the_last_key_picture_is_kept() -> None:
    cache = PictureCache((AUDIO, VIDEO), 10_000)
    cache.add(1, picture(0, SLICE))
    cache.add(0, sound(0))
    assert cache.since_key(1) == []
    assert cache.since_key(0) == []
    for start in (1, 4):
        key = picture(start, SPS, PPS, IDR, IDR)
        cache.add(1, key)
        cache.add(0, sound(start))
        cache.add(1, picture(start + 1, SLICE))
        assert cache.since_key(1) == [*key, *picture(start + 1, SLICE)]
        assert cache.since_key(0) == sound(start)


def test_beyond_the_limit_all_is_let_go_until_the_next_key_picture() -> None:
    cache = PictureCache((VIDEO,), 150)
    cache.add(0, picture(1, SPS, IDR))
    cache.add(0, picture(2, SLICE, SLICE, SLICE))
    assert cache.since_key(0) == []
    cache.add(0, picture(3, SLICE))
    assert cache.since_key(0) == []
    cache.add(0, picture(4, SPS, IDR))
    assert cache.since_key(0) == picture(4, SPS, IDR)


def test_without_pictures_that_show_their_beginning_nothing_is_kept() -> None:
    cache = PictureCache(
        (AUDIO, Media(kind="video", formats=(Format(payload_type=96, encoding="VP8"),))), 1000
    )
    cache.add(0, sound(0))
    cache.add(1, picture(1, IDR))
    assert cache.since_key(0) == cache.since_key(1) == []
