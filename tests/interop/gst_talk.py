"""Both ends of an ONVIF back channel for tests: run by the system's Python, which has GStreamer's bindings.

``gst_talk.py listen FILE`` serves ``/talk`` and writes the samples that are said to it into FILE; prints its port.
``gst_talk.py say URL`` plays URL with a back channel, and says a second of sound there.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

LIVE = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8"


def listen(path: str) -> None:
    server = GstRtspServer.RTSPOnvifServer.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPOnvifMediaFactory.new()
    factory.set_media_gtype(GstRtspServer.RTSPOnvifMedia)
    factory.set_launch(f"( {LIVE} )")
    factory.set_backchannel_launch(
        "( capsfilter caps=application/x-rtp,media=audio,payload=0,clock-rate=8000,encoding-name=PCMU"
        f" name=depay_backchannel ! rtppcmudepay ! filesink async=false buffer-mode=unbuffered location={path} )"
    )
    server.get_mount_points().add_factory("/talk", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def say(url: str) -> None:
    pipeline = Gst.Pipeline.new()
    source = Gst.parse_launch(f"rtspsrc location={url} protocols=tcp backchannel=onvif")
    pipeline.add(source)
    streams: list[int] = []

    def select(_source: Any, number: int, caps: Any) -> bool:
        if caps.get_structure(0).has_field("a-sendonly"):
            streams.append(number)
        return True

    def link(_source: Any, pad: Any) -> None:
        sink = Gst.ElementFactory.make("fakesink")
        pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    source.connect("select-stream", select)
    source.connect("pad-added", link)
    pipeline.set_state(Gst.State.PLAYING)
    bus = pipeline.get_bus()
    while True:
        message = bus.timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.ERROR | Gst.MessageType.PROGRESS)
        if message is None or message.type == Gst.MessageType.ERROR:
            sys.exit(f"{message.parse_error() if message else 'nothing happened'}")
        kind, _, text = message.parse_progress()
        if kind == Gst.ProgressType.COMPLETE and "PLAY" in text.upper():
            break
    maker = Gst.parse_launch(
        "audiotestsrc num-buffers=50 samplesperbuffer=160 is-live=true ! audio/x-raw,rate=8000,channels=1"
        " ! mulawenc ! rtppcmupay pt=0 min-ptime=20000000 ! appsink name=sink sync=true"
    )
    sink = maker.get_by_name("sink")
    maker.set_state(Gst.State.PLAYING)
    library = ctypes.CDLL("libgstreamer-1.0.so.0")
    said = 0
    while (sample := sink.emit("pull-sample")) is not None:
        # The signal takes a reference away that Python's bindings never gave it.
        library.gst_mini_object_ref(ctypes.c_void_p(hash(sample)))
        source.emit("push-backchannel-sample", streams[0], sample)
        said += 1
    print(said, flush=True)
    bus.timed_pop_filtered(Gst.SECOND // 2, Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    maker.set_state(Gst.State.NULL)


def main() -> None:
    Gst.init(None)
    {"listen": listen, "say": say}[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
