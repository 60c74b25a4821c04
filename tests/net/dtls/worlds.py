"""Two hosts that speak DTLS on a simulated network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from terzetto.errors import TerzettoError
from terzetto.net.dtls import DtlsEndpoint, DtlsOptions
from terzetto.net.endpoint import Address, Run
from terzetto.net.simulated import LinkConditions, SimulatedEndpoint, SimulatedNetwork
from tests.net.dtls.identities import AUTHORITY, STUDIO
from tests.net.simulated.worlds import bind

CALLER = DtlsOptions(ca=AUTHORITY.pem)
LISTENER = DtlsOptions(certificate=STUDIO.pem, private_key=STUDIO.key_pem)
KEY = bytes(32)

CALLER_HOST, LISTENER_HOST = "10.0.0.1", "10.0.0.2"


class World:
    """A listening end that reads all the time, and hosts to call it from."""

    def __init__(self, seed: int = 0) -> None:
        self.network = SimulatedNetwork(seed)
        self.camera = self.network.add_host("camera", CALLER_HOST)
        self.studio = self.network.add_host("studio", LISTENER_HOST)
        self.heard: list[bytes] = []
        self.listener: DtlsEndpoint
        self.nursery: trio.Nursery

    def connect(self, there: LinkConditions, back: LinkConditions | None = None) -> None:
        """Put the two hosts at the ends of this link."""
        self.network.connect(self.camera, self.studio, there, back)

    @property
    def address(self) -> Address:
        """Where the listening end is."""
        return self.listener.local_address

    def listen(self, **changes: Any) -> DtlsEndpoint:
        """A listening end."""
        inner = bind(self.studio, 5000, LISTENER_HOST)
        self.listener = DtlsEndpoint(inner, attrs.evolve(LISTENER, **changes), cookie_key=KEY)
        self.nursery.start_soon(self._read)
        return self.listener

    def call(self, inner: SimulatedEndpoint | None = None, **changes: Any) -> DtlsEndpoint:
        """A calling end, which has not called yet."""
        inner = inner or bind(self.camera, 0, CALLER_HOST)
        options = attrs.evolve(CALLER, **changes)
        return DtlsEndpoint(inner, options, remote=Address(LISTENER_HOST, 5000), cookie_key=KEY)

    async def _read(self) -> None:
        listener = self.listener
        try:
            while True:
                self.heard += flat(await listener.receive())
        except trio.ClosedResourceError:
            pass


@asynccontextmanager
async def world(seed: int = 0) -> AsyncIterator[World]:
    """A world whose listener is closed when the block ends."""
    made = World(seed)
    async with trio.open_nursery() as nursery:
        made.nursery = nursery
        yield made
        if hasattr(made, "listener"):
            made.listener.close()
        nursery.cancel_scope.cancel()


def flat(runs: list[Run]) -> list[bytes]:
    """The datagrams of *runs*."""
    return [bytes(datagram) for run in runs for datagram in run.datagrams]


async def why_refused(caller: DtlsEndpoint) -> TerzettoError:
    """The error that calling ends with."""
    try:
        with trio.fail_after(120):
            await caller.wait_established()
    except TerzettoError as exc:
        return exc
    finally:
        caller.close()
    raise AssertionError("it was not refused")
