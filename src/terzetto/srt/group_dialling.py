"""Keeps the members of a group called: one child nursery per member, so that none takes another down."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.nursery import open_session_nursery
from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import (
    CallerError,
    ConnectionRefusedByPeer,
    InvalidUrl,
    PeerError,
    TerzettoError,
    UnsupportedOperation,
)
from terzetto.net.endpoint import Address
from terzetto.net.network import Network
from terzetto.primitives.reconnection import Reconnection
from terzetto.srt.core.connection import Connection
from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.group_members import GroupMembers
from terzetto.srt.member import Member
from terzetto.srt.options import SrtKnobs, SrtOptions
from terzetto.srt.refusals import error_for_refusal
from terzetto.srt.runtime import Runtime, open_endpoint
from terzetto.srt.url import SrtTarget, target_from_url
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["GroupDialler", "check_member_options", "member_target"]


def member_target(url: str, options: SrtOptions | None, knobs: SrtKnobs) -> SrtTarget:
    """What the URL of a member asks for."""
    target = target_from_url(url, options, knobs)
    if target.listen or target.rendezvous:
        raise InvalidUrl(
            f"{target} does not call, as the members of a group that we open do",
            hint="use open_srt_group_listener to be called",
        )
    check_member_options(target.options)
    return target


def check_member_options(options: SrtOptions) -> None:
    """Refuse what a member of a group cannot have."""
    if options.packet_filter:
        raise UnsupportedOperation("a packet filter counts packets of one connection, which a group's skip")
    if not (options.tsbpd and options.too_late_drop):
        raise UnsupportedOperation("a group delivers by timestamp: tsbpd and too_late_drop must be on")


@attrs.define(eq=False)
class _Call:
    """One member that is to be there: its target, and the scope of the task that sees to it."""

    target: SrtTarget
    scope: trio.CancelScope
    member: Member | None = None
    first_outcome: trio.Event = attrs.field(factory=trio.Event)


class GroupDialler:
    """Calls every member, and calls it again when it is lost, as the policy says; None calls once."""

    def __init__(
        self,
        members: GroupMembers,
        network: Network,
        policy: Reconnection | None,
        options: SrtOptions | None,
        knobs: SrtKnobs,
    ) -> None:
        self._members = members
        self._network = network
        self._policy = policy
        self._options = options
        self._knobs = knobs
        self._calls: dict[str, _Call] = {}
        self._nursery: trio.Nursery | None = None
        self._is_stopped = False

    @property
    def is_trying(self) -> bool:
        """Whether more members may still come."""
        return bool(self._calls) and not self._is_stopped

    async def run(
        self, targets: Sequence[SrtTarget], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """See to all members until the group is closed. Started when one is connected, or all have failed."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._members.run)
            calls = [self._start(target) for target in targets]
            async with trio.open_nursery() as waiting:
                for call in calls:
                    waiting.start_soon(self._wait_first, call, waiting.cancel_scope)
            task_status.started()

    @staticmethod
    async def _wait_first(call: _Call, scope: trio.CancelScope) -> None:
        await call.first_outcome.wait()
        if call.member is not None:
            scope.cancel()

    async def add(self, url: str) -> None:
        """Call one more member."""
        await trio.lowlevel.checkpoint()
        target = member_target(url, self._options, self._knobs)
        if str(target) in self._calls:
            raise CallerError(f"{target} is a member of the group already")
        self._start(target)

    async def remove(self, url: str) -> None:
        """Say goodbye to a member, and do not call it again."""
        name = str(target_from_url(url, self._options, self._knobs))
        call = self._calls.pop(name, None)
        if call is None:
            raise CallerError(f"{name} is no member of the group")
        member = call.member
        if member is not None and not member.gone.is_set():
            # It sends no more, but what it has sent may still be repeated.
            member.close(current_micros())
            await member.gone.wait()
        call.scope.cancel()
        await trio.lowlevel.checkpoint()

    def stop(self) -> None:
        """Call nobody any more. Members that are connected say goodbye by themselves."""
        self._is_stopped = True
        for call in self._calls.values():
            if call.member is None or call.member.gone.is_set():
                call.scope.cancel()

    def _start(self, target: SrtTarget) -> _Call:
        assert self._nursery is not None
        call = _Call(target, trio.CancelScope())
        self._calls[str(target)] = call
        self._nursery.start_soon(self._keep, call)
        return call

    async def _keep(self, call: _Call) -> None:
        name = str(call.target)
        again = Reconnector(self._policy, name, entropy=self._network.entropy, tell=self._members.publish)
        with call.scope:
            while True:
                try:
                    await self._connect_once(call)
                    reason = "the connection ended"
                    again.succeeded()
                except (TerzettoError, OSError) as exc:
                    reason = str(exc)
                    self._members.failed(name, exc)
                call.first_outcome.set()
                if self._is_stopped or not await again.wait(reason):
                    break
        call.first_outcome.set()
        if self._calls.get(name) is call:
            del self._calls[name]
        self._members.reconsider()

    async def _connect_once(self, call: _Call) -> None:
        """Call, join, and stay until the member is gone."""
        target = call.target
        options = target.options
        peer = (await self._network.resolve(target.host, target.port))[0]
        local = Address(options.local_address, options.local_port)
        endpoint = await open_endpoint(self._network, options, local, family=6 if peer.is_ipv6 else 4)
        async with open_session_nursery() as nursery:
            try:
                runtime = Runtime(endpoint, self._network, options)
                await runtime.start(nursery)
            except BaseException:
                endpoint.close()
                raise

            def own(connection: Connection) -> Member:
                return Member(connection, runtime, str(target))

            runtime.make_owner = own
            outcome = await runtime.call(peer, options, terms=self._members.core.terms(target.weight))
            if isinstance(outcome, RefusedError):
                raise error_for_refusal(
                    outcome,
                    f"srt://{peer}",
                    timeout=options.connect_timeout,
                    has_heard=outcome.has_heard,
                    troubles=runtime.troubles,
                )
            assert isinstance(outcome, Member)
            if outcome.gone.is_set():
                raise PeerError(f"{peer} closed the connection at once")
            if not self._members.core.accepts(outcome.connection):
                outcome.abort(current_micros())
                raise ConnectionRefusedByPeer(
                    f"{peer} belongs to another group than the other members", code=RejectionReason.GROUP
                )
            self._members.join(outcome)
            call.member = outcome
            call.first_outcome.set()
            await outcome.gone.wait()
            call.member = None
            # What it has received is still being delivered, and its goodbye may have to be said.
            await outcome.dismissed.wait()
