"""A whole file over SRT, which is no route: nothing is paced by a clock, and nothing may be dropped.

``srt://...?transtype=file`` with ``file:`` at the other end, as ``srt-file-transmit`` does it. A caller that sends
puts the file's name into the stream id, unless the URL has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.gateway.registry import parse_paths
from terzetto.srt.api import connect_srt_listener, connect_srt_stream
from terzetto.srt.files import Progress, SrtTransfer, receive_file, send_file
from terzetto.srt.stream import SrtStream
from terzetto.srt.url import SrtTarget, target_from_url
from terzetto.url import EndpointUrl

__all__ = ["Transfer", "plan_transfer"]


@attrs.frozen
class Transfer:
    """A file and a peer, and which way it goes."""

    path: Path
    target: SrtTarget
    sends: bool

    async def run(self, progress: Progress) -> SrtTransfer:
        """Connect, move the file, close; raises what went wrong."""
        async with open_session_nursery() as nursery:
            stream = await self._connect(nursery)
            try:
                if self.sends:
                    result = await send_file(stream, self.path, progress=progress)
                    await stream.aclose()
                else:
                    result = await receive_file(stream, self.path, progress=progress)
            finally:
                stream.abort()
        return result

    async def _connect(self, nursery: trio.Nursery) -> SrtStream:
        url = self.target.url.to_string(reveal=True)
        if self.target.listen:
            listener = await connect_srt_listener(nursery, url)
            try:
                return await listener.accept()
            finally:
                listener.close()
        options = self.target.options
        if self.sends and not options.stream_id:
            options = attrs.evolve(options, stream_id=self.path.name)
        return await connect_srt_stream(nursery, url, stream_id=options.stream_id)


def plan_transfer(input_url: str, outputs: Sequence[str]) -> Transfer | None:
    """The transfer that these URLs mean; None where they mean a route."""
    if not any(url.startswith("srt:") for url in (input_url, *outputs)):
        return None
    ends = [parse_paths(url)[0] for url in (input_url, *outputs)]
    peers = [target for end in ends if (target := _file_peer(end)) is not None]
    if not peers:
        return None
    if len(ends) != 2 or {end.scheme for end in ends} != {"srt", "file"}:
        raise UnsupportedOperation(
            "transtype=file moves one whole file to or from one peer",
            hint="name one file: and one srt://, or leave transtype=file out to relay media",
        )
    sends = ends[0].scheme == "file"
    path = Path(ends[0 if sends else 1].path)
    if sends and not path.is_file():
        raise InvalidUrl(f"there is no file {path}", hint="check the path; a relative one starts here")
    if not sends and not path.parent.is_dir():
        raise InvalidUrl(f"there is no directory {path.parent}", hint="make it first, or check the path")
    if peers[0].options.message_api:
        raise UnsupportedOperation("a file is no message", hint="leave messageapi out")
    return Transfer(path, peers[0], sends)


def _file_peer(end: EndpointUrl) -> SrtTarget | None:
    if end.scheme != "srt":
        return None
    target = target_from_url(end.to_string(reveal=True), None, {})
    return target if target.options.transmission_type == "file" else None
