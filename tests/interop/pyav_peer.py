"""The FFmpeg that PyAV brings, which is newer than Debian's: a process of its own, for it holds the interpreter's lock.

``pyav_peer.py publish URL`` publishes AV1 until it is ended; ``pyav_peer.py frames URL COUNT`` plays URL, and prints a
checksum of each of so many pictures.
"""

from __future__ import annotations

import sys
import time
from hashlib import md5
from typing import Final

import av
from av.video.frame import VideoFrame

SIDE: Final = 128
ENCODER: Final = {"preset": "12", "svtav1-params": "keyint=25:lookahead=0:pred-struct=1"}


def publish(url: str) -> None:
    with av.open(
        url, "w", format="rtsp", options={"rtsp_transport": "tcp", "strict": "experimental"}
    ) as container:
        stream = container.add_stream("libsvtav1", rate=25, options=ENCODER)
        stream.width = stream.height = SIDE
        began = time.monotonic()
        for number in range(100_000):
            picture = VideoFrame(SIDE, SIDE, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes(index + 2 * number & 0xFF for index in range(plane.buffer_size)))
            picture.pts = number
            container.mux(stream.encode(picture))
            time.sleep(max(0.0, began + number / 25 - time.monotonic()))


def frames(url: str, count: int) -> None:
    found = 0
    with av.open(url, format="rtsp", options={"rtsp_transport": "tcp"}) as container:
        for picture in container.decode(video=0):
            print(md5(b"".join(bytes(plane) for plane in picture.planes)).hexdigest(), flush=True)
            found += 1
            if found == count:
                return


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        publish(sys.argv[2])
    else:
        frames(sys.argv[2], int(sys.argv[3]))
