"""An rtspsrc for tests: run by the system's Python, which has GStreamer's bindings.

Reads so many packets, then pauses, waits for the server's word on that, and tears down. gst-launch does not wait: it
closes while the request to pause is being written, and where the two meet it calls its own cancelled write "Received
end-of-file". Ends with status 1 after any error.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # type: ignore[import-not-found]  # noqa: E402

PATIENCE = 40 * Gst.SECOND


def wait_for(bus: Any, kind: Any, code: str = "") -> None:
    """Wait for such a message; leave at an error, or when none comes."""
    while True:
        message = bus.timed_pop_filtered(PATIENCE, kind | Gst.MessageType.ERROR)
        if message is None:
            sys.exit(f"nothing came of {kind.first_value_nick} {code}")
        if message.type == Gst.MessageType.ERROR:
            error, details = message.parse_error()
            sys.exit(f"{error.message}\n{details}")
        if not code:
            return
        progress, found, text = message.parse_progress()
        if progress == Gst.ProgressType.ERROR:
            sys.exit(text)
        if progress == Gst.ProgressType.COMPLETE and found == code:
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="+", help="properties of rtspsrc")
    parser.add_argument("--packets", type=int, default=60)
    options = parser.parse_args()
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"rtspsrc {' '.join(options.source)} ! fakesink sync=false num-buffers={options.packets}"
    )
    bus = pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    wait_for(bus, Gst.MessageType.EOS)
    while bus.pop_filtered(Gst.MessageType.PROGRESS) is not None:
        pass
    pipeline.set_state(Gst.State.PAUSED)
    wait_for(bus, Gst.MessageType.PROGRESS, "request")
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
