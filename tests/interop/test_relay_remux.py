"""Cameras that leave by SRT and RIST, and come back as RTSP: the frames that arrive are those that were sent."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.helpers import free_pair, started
from tests.interop.rtsp_tools import gst_server, program, run, wait_for
from tests.interop.test_relay_rtsp import codecs, has_grown, told

pytestmark = pytest.mark.interop

TCP = ("-rtsp_transport", "tcp")
# Everything is known from the description; nobody need look for seconds.
QUICK = (*TCP, "-analyzeduration", "500000", "-fflags", "nobuffer")


async def frames(source: str, *options: str, seconds: float = 0.0) -> list[str]:
    """A checksum of every picture that ffmpeg decodes, of so many seconds."""
    limit = ("-t", str(seconds)) if seconds else ()
    output = await run(
        *(
            "ffmpeg",
            "-loglevel",
            "fatal",
            *options,
            "-i",
            source,
            *limit,
            "-map",
            "0:v",
            "-f",
            "framemd5",
            "-",
        ),
        timeout=60,
    )
    return checksums(output)


def checksums(text: str) -> list[str]:
    """What ffmpeg's muxer ``framemd5`` wrote of each frame."""
    return [
        line.split(",")[-1].strip() for line in text.splitlines() if "," in line and not line.startswith("#")
    ]


def agree(some: list[str], others: list[str]) -> int:
    """How many pictures both have, once both have begun, which must be in the same order without a gap."""
    start = next((index for index, each in enumerate(others) if each in some), None)
    assert start is not None, f"{len(some)} and {len(others)} pictures have none in common"
    at = some.index(others[start])
    both = list(zip(some[at:], others[start:], strict=False))
    assert all(one == other for one, other in both)
    return len(both)


async def test_a_camera_goes_by_srt_and_comes_back_as_rtsp(tmp_path: Path) -> None:
    srt = free_pair()
    async with gst_server() as camera:
        with ExitStack() as stack:
            back = stack.enter_context(
                started("relay", f"srt://@127.0.0.1:{srt}", "rtsp://@127.0.0.1:0/live", "--json")
            )
            url = (await told(back, "listening")).split()[-1]
            stack.enter_context(started("relay", f"rtsp://127.0.0.1:{camera}/av", f"srt://127.0.0.1:{srt}"))
            await told(back, "remuxing")
            # The camera is watched before and after, so that what comes back later must be among it.
            watched = tmp_path / "camera.md5"
            watching = ("-map", "0:v", "-flush_packets", "1", "-f", "framemd5", str(watched))
            source = f"rtsp://127.0.0.1:{camera}/av"
            async with program("ffmpeg", "-loglevel", "fatal", *QUICK, "-i", source, *watching):
                await wait_for(
                    lambda: watched.exists() and len(checksums(watched.read_text())) > 5, timeout=40
                )
                came_back = await frames(url, *QUICK, seconds=2)
                await wait_for(lambda: came_back[-1] in checksums(watched.read_text()), timeout=20)
            assert agree(checksums(watched.read_text())[:-1], came_back) >= 10


async def test_a_contribution_of_ffmpeg_is_watched_as_pictures_and_sound_unharmed(tmp_path: Path) -> None:
    srt = free_pair()
    picture = (
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=160x128:rate=25",
        "-f",
        "lavfi",
        "-i",
        "sine=sample_rate=48000",
    )
    encoded = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-c:a", "aac")
    await run(
        "ffmpeg",
        "-loglevel",
        "error",
        *picture,
        "-t",
        "12",
        *encoded,
        "-f",
        "mpegts",
        str(tmp_path / "in.ts"),
    )
    with started("relay", f"srt://@127.0.0.1:{srt}", "rtsp://@127.0.0.1:0/live", "--json") as relay:
        url = (await told(relay, "listening")).split()[-1]
        sending = (
            "-re",
            "-i",
            str(tmp_path / "in.ts"),
            "-c",
            "copy",
            "-f",
            "mpegts",
            f"srt://127.0.0.1:{srt}",
        )
        async with program("ffmpeg", "-loglevel", "error", *sending):
            assert await told(relay, "remuxing") == "goes out as H264, mpeg4-generic"
            got = await frames(url, *QUICK, seconds=2)
    assert agree(await frames(str(tmp_path / "in.ts")), got) >= 10


async def test_a_camera_leaves_by_rist_for_libristreceiver(tmp_path: Path) -> None:
    rist, out = free_pair(), free_pair()
    receiver = ("ristreceiver", "-p", "0", "-i", f"rist://@127.0.0.1:{rist}", "-o", f"udp://127.0.0.1:{out}")
    async with gst_server() as camera, program(*receiver):
        with (
            started("relay", f"udp://@127.0.0.1:{out}", f"file:{tmp_path}/out.ts"),
            started(
                "relay",
                *(
                    f"rtsp://127.0.0.1:{camera}/av?rtsp_transport=tcp",
                    f"rist://127.0.0.1:{rist}?profile=simple",
                ),
            ),
        ):
            await wait_for(lambda: has_grown(tmp_path / "out.ts"), timeout=40)
        assert await codecs(str(tmp_path / "out.ts")) == ["h264"]
