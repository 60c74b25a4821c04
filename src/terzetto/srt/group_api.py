"""Groups of SRT connections as trio streams.

``open_x`` is for a block, ``connect_x`` for an object that lives in a nursery of the caller's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Unpack

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import AllPathsFailed, InvalidOption, InvalidUrl
from terzetto.net.network import current_network
from terzetto.primitives.reconnection import Reconnection
from terzetto.primitives.time import micros
from terzetto.srt.api import start_listening
from terzetto.srt.core.group.group import Group
from terzetto.srt.group import SrtGroup
from terzetto.srt.group_dialling import GroupDialler, check_member_options, member_target
from terzetto.srt.group_listening import SrtGroupListener
from terzetto.srt.listening import Authorize
from terzetto.srt.options import SrtKnobs, SrtOptions
from terzetto.srt.runtime import Runtime
from terzetto.srt.url import target_from_url
from terzetto.srt.wire.extensions import GROUP_BIT, GroupKind
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["connect_srt_group", "connect_srt_group_listener", "open_srt_group", "open_srt_group_listener"]

_MODES: Final = {kind.name.lower(): kind for kind in GroupKind}

_AGAIN: Final = Reconnection()


async def connect_srt_group(
    nursery: trio.Nursery,
    urls: Sequence[str],
    *,
    mode: str = "broadcast",
    reconnect: Reconnection | None = _AGAIN,
    options: SrtOptions | None = None,
    **knobs: Unpack[SrtKnobs],
) -> SrtGroup:
    """Connect a group with one peer; its tasks live in *nursery*. See `open_srt_group`."""
    if mode not in _MODES:
        raise InvalidOption(f"mode is {mode!r}; it must be one of {', '.join(map(repr, _MODES))}")
    if isinstance(urls, str) or not urls:
        raise InvalidOption("a group needs a list of URLs, one for each member")
    targets = [member_target(url, options, knobs) for url in urls]
    if len({str(target) for target in targets}) < len(targets):
        raise InvalidOption("two members of the group have the same URL")
    network = current_network()
    core = Group(
        _MODES[mode],
        group_id=int.from_bytes(network.entropy(4), "big") & (GROUP_BIT - 1) | GROUP_BIT,
        initial_sequence=int.from_bytes(network.entropy(4), "big") % SEQUENCE_MASK,
        least_stability_timeout=max(micros(target.options.group_stability_timeout) for target in targets),
        now=current_micros(),
    )
    group = SrtGroup(core, min(target.options.payload_size or 1456 for target in targets))
    dialler = GroupDialler(group.members, network, reconnect, options, knobs)
    group.members.use_dialler(dialler)
    try:
        await nursery.start(dialler.run, targets)
        if not group.is_connected:
            raise AllPathsFailed("no member of the group could be reached", group.failures)
    except BaseException:
        group.abort()
        raise
    return group


@asynccontextmanager
async def open_srt_group(
    urls: Sequence[str],
    *,
    mode: str = "broadcast",
    reconnect: Reconnection | None = _AGAIN,
    options: SrtOptions | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AsyncIterator[SrtGroup]:
    """Connect with one peer over several paths that carry one stream.

    Each URL calls a listener of the same peer; ``weight=`` in its query orders the members of a backup group,
    ``adapter=`` says by which address of ours it leaves. *mode* is ``broadcast`` (every packet on every member),
    ``backup`` (one sends, the others stand by) or ``balancing`` (each packet on one of them, in proportion to
    ``weight`` and to what each gets through; only with a peer of our kind, since libsrt refuses it). The block
    begins as soon as one member is connected; a member that fails or is lost is called again as *reconnect* says,
    None calls each once. *options* and keywords hold for all members, as in `open_srt_stream`.

    Raises `terzetto.errors.AllPathsFailed`, with every cause, when no member can be reached at first.
    """
    async with open_session_nursery() as nursery:
        group = await connect_srt_group(
            nursery, urls, mode=mode, reconnect=reconnect, options=options, **knobs
        )
        try:
            yield group
            await group.aclose()
        finally:
            group.abort()


async def connect_srt_group_listener(
    nursery: trio.Nursery,
    urls: str | Sequence[str],
    *,
    authorize: Authorize | None = None,
    options: SrtOptions | None = None,
    **knobs: Unpack[SrtKnobs],
) -> SrtGroupListener:
    """Listen for groups; all tasks live in *nursery*. See `open_srt_group_listener`."""
    knobs["group_connect"] = True
    targets = [target_from_url(url, options, knobs) for url in ([urls] if isinstance(urls, str) else urls)]
    if not targets:
        raise InvalidOption("a group listener needs at least one URL")
    for target in targets:
        if not target.listen or target.rendezvous:
            raise InvalidUrl(
                f"{target} calls, it does not listen", hint="write srt://:port, or add mode=listener"
            )
        check_member_options(target.options)
    doors: dict[Runtime, SrtOptions] = {}
    try:
        for target in targets:
            doors[await start_listening(nursery, target, None)] = target.options
    except BaseException:
        for runtime in doors:
            runtime.abort()
        raise
    return SrtGroupListener(list(doors.items()), current_network(), nursery, authorize)


@asynccontextmanager
async def open_srt_group_listener(
    urls: str | Sequence[str],
    *,
    authorize: Authorize | None = None,
    options: SrtOptions | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AsyncIterator[SrtGroupListener]:
    """Listen for groups, on one socket or on several that belong together.

    However many members of a group call, at whichever of the sockets, `SrtGroupListener.accept` gives one
    `SrtGroup`. The caller chooses the mode. *authorize* decides about each member, as for `open_srt_listener`.
    Leaving the block ends every group that was accepted in it.
    """
    async with open_session_nursery() as nursery:
        listener = await connect_srt_group_listener(
            nursery, urls, authorize=authorize, options=options, **knobs
        )
        try:
            yield listener
        finally:
            listener.close()
