"""RIST against libRIST 0.2.20, which PyPI's tstrans carries: Simple and Main, clear and enciphered, with loss."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import INTERVAL, PACKETS, Arrivals, bad_network, free_pair, pace

pytestmark = pytest.mark.interop

HOST = "127.0.0.1"
SECRET = "ReliableInternetStreamTransport"
Knobs = dict[str, Any]

WAYS: dict[str, Knobs] = {
    "simple": {"profile": "simple"},
    "main": {"profile": "main"},
    "aes-128": {"secret": SECRET, "aes_type": 128},
    "aes-256": {"secret": SECRET, "aes_type": 256},
}

# Each way once, and each cipher with loss somewhere; tstrans has no logins, and only its senders call.
RUNS = [("simple", 0.05), ("main", 0.05), ("aes-128", 0.0), ("aes-256", 0.05)]


def rist() -> Any:
    """The library; that it is missing is a failure."""
    return importlib.import_module("tstrans.rist")


def configured(builder: Any, knobs: Knobs) -> Any:
    """A builder that knows what *knobs* say."""
    library = rist()
    profile = library.RistProfile.SIMPLE if knobs.get("profile") == "simple" else library.RistProfile.MAIN
    builder = builder.profile(profile).buffer_ms(500).cname("tool")
    if "secret" in knobs:
        key = getattr(library.EncryptionKey, f"aes{knobs['aes_type']}")(knobs["secret"])
        builder = builder.encryption(key)
    return builder


@asynccontextmanager
async def in_thread(work: Callable[[threading.Event], None]) -> AsyncIterator[None]:
    """Run *work* beside the block, and end it with the block."""
    over = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, work, over)
        try:
            yield
        finally:
            over.set()


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


@pytest.mark.parametrize(("way", "loss"), RUNS)
async def test_librist_calls_and_sends(way: str, loss: float) -> None:
    knobs = WAYS[way]
    arrivals = Arrivals()
    connected = threading.Event()
    async with (
        tz.open_rist_receiver(f"rist://@{HOST}:{free_pair()}", buffer=0.5, **knobs) as receiver,
        bad_network(receiver.local_address.port, loss, seed=17) as port,
        trio.open_nursery() as nursery,
    ):

        def send(over: threading.Event) -> None:
            builder = rist().Transport.builder().url(f"rist://{HOST}:{port}?buffer=500")
            transport = configured(builder, knobs).build()
            try:
                while not connected.wait(0.1) and not over.is_set():
                    transport.send(PACKETS[0])
                start = time.monotonic()
                for number, payload in enumerate(PACKETS):
                    time.sleep(max(0.0, start + number * INTERVAL - time.monotonic()))
                    transport.send(payload)
                over.wait()
            finally:
                transport.close()

        nursery.start_soon(collect, receiver, arrivals)
        async with in_thread(send):
            with trio.fail_after(15):
                await receiver.wait_connected()
            connected.set()
            await trio.sleep(len(PACKETS) * INTERVAL)
            await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert receiver.statistics().peer.cname == "tool"
    assert receiver.statistics().peer.encrypted == ("secret" in knobs)
    assert (receiver.statistics().recovered > 20) == (loss > 0)


@pytest.mark.parametrize(("way", "loss"), RUNS)
async def test_we_call_and_librist_receives(way: str, loss: float) -> None:
    knobs = WAYS[way]
    listening = free_pair()
    arrivals = Arrivals()

    def receive(over: threading.Event) -> None:
        library = rist()
        builder = library.RecvTransport.builder().bind_url(f"rist://@{HOST}:{listening}?buffer=500")
        transport = configured(builder, knobs).build()
        try:
            while not over.is_set():
                try:
                    arrivals.data += transport.recv(100)
                except library.RistError as error:
                    if error.kind is not library.RistErrorKind.BACKPRESSURE:
                        raise
        finally:
            transport.close()

    async with (
        in_thread(receive),
        bad_network(listening, loss, seed=18) as port,
        tz.open_rist_sender(f"rist://{HOST}:{port}", buffer=0.5, **knobs) as sender,
    ):
        with trio.fail_after(15):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    assert statistics.peer.cname == "tool"
    assert (statistics.retransmitted > 20) == (loss > 0)
