"""A recorder that replays as ONVIF has it, for tests and for the code in the documentation."""

from __future__ import annotations

import trio

from terzetto.rtp.header import pack_header
from terzetto.rtp.onvif_extension import OnvifExtension
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.headers.range import ClockRange
from terzetto.rtsp.wire.message import Response
from tests.simulation.rtsp_world import AV, NotingHandler

__all__ = ["Recorder"]


class Recorder(NotingHandler):
    """Sends a picture for each second of its recording."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__()
        self.streams["/rec"] = ServerStream(AV)
        self.nursery = nursery
        self.asked: list[RtspRequest] = []
        self.playing = trio.CancelScope()
        self.most_waiting = 0

    async def play(self, request: RtspRequest) -> Response | None:
        self.asked.append(request)
        self.playing.cancel()
        self.playing = trio.CancelScope()
        self.nursery.start_soon(self._send, request, self.playing)
        response = Response(200)
        response.fields["Range"] = str(request.range)
        return response

    async def _send(self, request: RtspRequest, scope: trio.CancelScope) -> None:
        assert isinstance(request.range, ClockRange)
        assert request.session is not None
        number = int(request.message.cseq or 0)
        with scope:
            await trio.sleep(0.1)
            for second in range(2000):
                while not request.session.has_room:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                at = OnvifExtension(
                    request.range.start + second * 1_000_000, True, False, not second, False, number
                )
                header = pack_header(96, second & 0xFFFF, second * 90_000, 5, marker=True)
                self.streams["/rec"].write(0, [at.put_on(header + bytes(1200))])
