"""Small programmes of pictures and sound, made and looked at by PyAV."""

from __future__ import annotations

from functools import cache
from hashlib import md5
from io import BytesIO
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

__all__ = ["frames", "programme"]

_SIDE = 64


@cache
def programme(video: str, audio: str, *, pictures: int = 50, b_frames: int = 2, pid: int = 0x100) -> bytes:
    """A transport stream of so many pictures at 25 a second, a key picture every ten, and as much sound."""
    out = BytesIO()
    with av.open(out, "w", format="mpegts", options={"mpegts_start_pid": str(pid)}) as container:
        options = {
            "bf": str(b_frames),
            "g": "10",
            "x264-params": "scenecut=0",
            "x265-params": f"keyint=10:scenecut=0:bframes={b_frames}:log-level=none",
        }
        pictures_out = cast("VideoStream", container.add_stream(video, rate=25, options=options))
        pictures_out.width = pictures_out.height = _SIDE
        sound_out = cast("AudioStream", container.add_stream(audio, rate=48_000))
        sound_out.metadata["language"] = "eng"
        samples = 0
        for number in range(pictures):
            picture = VideoFrame(_SIDE, _SIDE, "yuv420p")
            for plane in picture.planes:
                size = plane.buffer_size
                plane.update(bytes((index + 2 * number) & 0xFF for index in range(size)))
            picture.pts = number
            container.mux(pictures_out.encode(picture))
            size = sound_out.codec_context.frame_size or 1152
            while samples < (number + 1) * 1920:
                sound = AudioFrame(
                    sound_out.codec_context.format.name, sound_out.codec_context.layout.name, size
                )
                for channel in sound.planes:
                    channel.update(
                        bytes(samples // 16 * index & 0x3F for index in range(channel.buffer_size))
                    )
                sound.pts, sound.sample_rate = samples, 48_000
                container.mux(sound_out.encode(sound))
                samples += size
        container.mux(pictures_out.encode(None))
        container.mux(sound_out.encode(None))
    return out.getvalue()


def frames(transport_stream: bytes, kind: str = "video") -> list[str]:
    """A checksum of every frame that decodes."""
    with av.open(BytesIO(transport_stream), "r", format="mpegts") as container:
        streams = container.streams.video if kind == "video" else container.streams.audio
        found = []
        for frame in container.decode(streams[0]):
            assert isinstance(frame, VideoFrame | AudioFrame)
            found.append(md5(b"".join(bytes(plane) for plane in frame.planes)).hexdigest())
        return found
