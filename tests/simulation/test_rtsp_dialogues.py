"""Dialogues with other programs, who say what they were heard to say: what we say is compared to the byte.

Lines of a recording begin with ``>`` (from the client) or ``<`` (from the server). A body stands behind the empty line
of its message, each line of it ending as every other does. ``{session}`` is whatever the server first says there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import frozen

from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.network import DEFAULT_CONDITIONS
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.client import RtspClient, open_rtsp_client
from tests.simulation.rtsp_world import AV, open_world

RECORDINGS = Path(__file__).with_name("dialogues")


@frozen
class Turn:
    """All that one side says before the other answers."""

    by_client: bool
    text: str


def recording(name: str) -> list[Turn]:
    turns: list[Turn] = []
    for line in (RECORDINGS / f"{name}.txt").read_text().splitlines():
        by_client, text = line[0] == ">", line[2:] + "\r\n"
        if turns and turns[-1].by_client == by_client:
            turns[-1] = Turn(by_client, turns[-1].text + text)
        else:
            turns.append(Turn(by_client, text))
    return turns


async def read_message(stream: ByteStream) -> str:
    """One message, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        assert more, f"the dialogue ended in {data!r}"
        data += more
    length = re.search(rb"Content-Length: (\d+)", data)
    size = data.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(data) < size:
        data += await stream.receive_some()
    assert len(data) == size
    return data.decode()


def is_said(expected: str, said: str, known: dict[str, str]) -> bool:
    """Whether *said* is what the recording says; learns the session's name on the way."""
    pattern = re.escape(expected.format(**known) if known else expected)
    pattern = pattern.replace(re.escape("{session}"), "(?P<session>[0-9a-f]{32})", 1)
    found = re.fullmatch(pattern, said)
    known.update(found.groupdict() if found else {})
    return found is not None


async def play_server(
    listener_host: Address, turns: list[Turn], heard: list[str], started: trio.Event
) -> None:
    """Answer a client as the recording does, whatever it says."""
    (listener,) = await current_network().open_tcp_listeners(listener_host, StreamOptions())
    started.set()
    stream = await listener.accept()
    for turn in turns:
        if turn.by_client:
            heard.append(await read_message(stream))
        else:
            with suppress(trio.BrokenResourceError):  # the answer to TEARDOWN is not waited for
                await stream.send_all(turn.text.encode())
    await stream.aclose()


async def speak(client: RtspClient, name: str) -> None:
    if name == "gst-rtsp-server-plays":
        async with client.play() as playback:
            assert [(info.sequence, info.timestamp) for info in playback.rtp_info] == [
                (954, 732618788),
                (27799, 2133321726),
            ]
            assert playback.description is not None
            assert [media.formats[0].codec for media in playback.description.medias] == [
                "h264",
                "mpeg4-generic",
            ]
    else:
        async with client.record(AV):
            pass


@pytest.mark.parametrize("name", ["gst-rtsp-server-plays", "ffmpeg-takes-what-we-publish"])
async def test_what_our_client_says_to_a_server(name: str, autojump_clock: trio.testing.MockClock) -> None:
    turns = recording(name)
    network = SimulatedNetwork(seed=1)
    server, client = network.add_host("server", "10.0.0.1"), network.add_host("client", "10.0.0.2")
    network.connect(server, client, DEFAULT_CONDITIONS)
    heard: list[str] = []
    async with trio.open_nursery() as nursery:
        started = trio.Event()
        with use_network(server):
            nursery.start_soon(play_server, Address("10.0.0.1", 8554), turns, heard, started)
        await started.wait()
        url = re.search(r"rtsp://\S+", turns[0].text)
        assert url is not None
        with use_network(client):
            async with open_rtsp_client(url[0], transport="tcp") as ours:
                await speak(ours, name)
    asked = [turn.text for turn in turns if turn.by_client]
    for expected, said in zip(asked, heard, strict=True):
        assert is_said(expected, said, {}), f"expected:\n{expected}\nsaid:\n{said}"


@pytest.mark.parametrize("name", ["ffmpeg-reads-from-us", "rtspclientsink-publishes-to-us"])
async def test_what_our_server_says_to_a_client(name: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False, udp_port=8000) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        known: dict[str, str] = {}
        for turn in recording(name):
            if turn.by_client:
                head, separator, body = turn.text.partition("\r\n\r\n")
                for segment in (head + separator, body):  # ffmpeg sends them apart
                    if segment:
                        await stream.send_all(segment.format(**known).encode())
            else:
                said = await read_message(stream)
                assert is_said(turn.text, said, known), f"expected:\n{turn.text}\nsaid:\n{said}"
        await trio.sleep(0.1)
        assert world.server.statistics().sessions == 0
        stream.close()
