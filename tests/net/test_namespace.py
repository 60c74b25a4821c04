"""A namespace of a test keeps to itself: trio starts programs in threads that it keeps, and reuses for anybody."""

from __future__ import annotations

import json

import trio

from tests.net.namespace import needs_namespace, run_in_namespace


async def names_seen_by_a_program() -> set[str]:
    result = await trio.run_process(["ip", "-j", "link"], capture_stdout=True)
    return {link["ifname"] for link in json.loads(result.stdout)}


@needs_namespace
def test_programs_start_in_the_network_of_whoever_starts_them() -> None:
    before = trio.run(names_seen_by_a_program)
    inside: set[str] = set()

    async def look() -> None:
        inside.update(await names_seen_by_a_program())

    run_in_namespace("ip link add only-here type veth peer name peer-here", look)
    assert inside >= {"lo", "only-here", "peer-here"}
    assert trio.run(names_seen_by_a_program) == before
