"""Whether an implementation of `DatagramEndpoint` keeps what its docstrings promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

import attrs
import trio
import trio.testing

from terzetto.net.endpoint import Address, DatagramEndpoint, Run
from terzetto.testing.promises import PromiseBroken, promise

__all__ = ["OpenPair", "check_endpoint"]

OpenPair: TypeAlias = Callable[[], Awaitable[tuple[DatagramEndpoint, DatagramEndpoint]]]
"""Opens two fresh endpoints, bound to addresses at which they reach one another without loss."""

# Ample for a loaded machine and a real socket; nothing under an autojump clock.
_PATIENCE: Final = 5.0

# Long enough for a datagram on its way to have arrived, on any network that a check would be run on.
_SETTLING: Final = 0.2


async def check_endpoint(open_pair: OpenPair, *, carries_empty: bool = True) -> None:
    """Put endpoints from *open_pair* through every promise; raises `PromiseBroken` for the first that is not kept.

    Each promise gets a fresh pair. The network between the two must neither lose nor reorder. *carries_empty* says
    whether an empty datagram arrives; where it does not (DTLS has none) nothing else may suffer from it.
    """
    empty = _carries_empty_datagrams if carries_empty else _drops_empty_datagrams
    for check in (
        _keeps_order_boundaries_and_sender,
        empty,
        _sends_several_runs_in_order,
        _takes_everything_at_once_without_waiting,
        _takes_nothing_when_cancelled_while_waiting,
        _takes_nothing_when_cancelled_beforehand,
        _lets_one_task_wait,
        _never_changes_what_it_handed_over,
        _hands_back_what_does_not_fit,
        _yields_in_every_async_method,
        _counts,
        _collects_troubles,
        _wakes_the_waiting_when_closed,
        _refuses_everything_once_closed,
    ):
        one, other = await open_pair()
        try:
            await check(one, other)
        finally:
            one.close()
            other.close()


async def _keeps_order_boundaries_and_sender(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    sent = [bytes([number]) * (1 + 37 * number % 1200) for number in range(40)]
    await _send(one, other, sent)
    runs = await _receive(other, len(sent))
    promise(_flat(runs) == sent, "datagrams arrive in order, whole and separate")
    promise(all(run.datagrams for run in runs), "no run is empty")
    here = one.local_address
    promise(all(run.peer == here for run in runs), f"a run names its sender, which was {here}")
    promise(all(isinstance(run.peer, Address) for run in runs), "a run's peer is an Address")


async def _carries_empty_datagrams(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    await _send(one, other, [b"", b"full", b""])
    promise(_flat(await _receive(other, 3)) == [b"", b"full", b""], "empty datagrams are datagrams")
    await one.send([Run(other.local_address, []), Run(other.local_address, [b"after"])])
    promise(_flat(await _receive(other, 1)) == [b"after"], "an empty run sends nothing and harms nothing")


async def _drops_empty_datagrams(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    await _send(one, other, [b"", b"full", b""])
    await one.send([Run(other.local_address, []), Run(other.local_address, [b""])])
    await _send(one, other, [b"after"])
    promise(_flat(await _receive(other, 2)) == [b"full", b"after"], "empty datagrams vanish without a trace")
    promise(one.statistics().datagrams_sent == 2, "what was not sent is not counted")


async def _sends_several_runs_in_order(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    where = other.local_address
    await one.send([Run(where, [b"1", memoryview(b"2")]), Run(where, (b"3",)), Run(where, [b"4", b"5"])])
    promise(_flat(await _receive(other, 5)) == [b"1", b"2", b"3", b"4", b"5"], "runs leave in order")


async def _takes_everything_at_once_without_waiting(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    promise(other.receive_nowait() == [], "receive_nowait with nothing waiting returns an empty list")
    await _send(one, other, [b"a", b"b", b"c"])
    await trio.sleep(_SETTLING)
    promise(_flat(other.receive_nowait()) == [b"a", b"b", b"c"], "receive_nowait takes everything that waits")
    promise(other.receive_nowait() == [], "what was taken is gone")
    await _send(one, other, [b"d", b"e"])
    await trio.sleep(_SETTLING)
    with _in_time("receive returns at once when something waits"):
        promise(_flat(await other.receive()) == [b"d", b"e"], "receive takes everything that waits")


async def _takes_nothing_when_cancelled_while_waiting(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    with trio.move_on_after(_SETTLING):
        await other.receive()
        raise PromiseBroken("receive waits until something has arrived")
    await _send(one, other, [b"later"])
    promise(_flat(await _receive(other, 1)) == [b"later"], "after a cancelled receive nothing is missing")


async def _takes_nothing_when_cancelled_beforehand(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    await _send(one, other, [b"kept", b"safe"])
    await trio.sleep(_SETTLING)
    with trio.CancelScope() as scope:
        scope.cancel()
        await other.receive()
    promise(scope.cancelled_caught, "receive in a cancelled scope is cancelled, whatever waits")
    kept = "a cancelled receive has taken nothing"
    promise(_flat(await _receive(other, 2, kept)) == [b"kept", b"safe"], kept)
    with trio.CancelScope() as scope:
        scope.cancel()
        await one.send([Run(other.local_address, [b"never"])])
    promise(scope.cancelled_caught, "send in a cancelled scope is cancelled")


async def _lets_one_task_wait(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    got: list[bytes] = []

    async def wait() -> None:
        got.extend(_flat(await other.receive()))

    with _in_time("a waiting receive is not disturbed by a second one"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            try:
                await other.receive()
            except trio.BusyResourceError:
                pass
            else:
                raise PromiseBroken("a second task that waits gets trio.BusyResourceError")
            await _send(one, other, [b"for the first"])
    promise(got == [b"for the first"], "a waiting receive is not disturbed by a second one")


async def _never_changes_what_it_handed_over(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    first = [bytes([number]) * 500 for number in range(20)]
    await _send(one, other, first)
    held = await _receive(other, len(first))
    for number in range(5):
        await _send(one, other, [bytes([200 + number]) * 500] * 20)
        await _receive(other, 20)
    promise(_flat(held) == first, "datagrams never change once handed over")


async def _hands_back_what_does_not_fit(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    where = other.local_address
    promise(one.send_nowait([]) == [], "sending nothing leaves nothing")
    for _attempt in range(50):
        offered = [Run(where, [bytes([number]) * 1200 for number in range(50)]) for _ in range(4)]
        left = one.send_nowait(offered)
        everything, rest = _flat(offered), _flat(left)
        promise(
            everything[len(everything) - len(rest) :] == rest, "send_nowait hands back the rest, in order"
        )
        promise(all(run.datagrams for run in left), "what send_nowait hands back has no empty runs")
        if left:
            with _in_time("send waits for room and then sends the rest"):
                await one.send(left)
            return
        await trio.lowlevel.checkpoint()
        other.receive_nowait()


async def _yields_in_every_async_method(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    where = other.local_address
    with _checkpoints("send"):
        await one.send([Run(where, [b"x"])])
    await trio.sleep(_SETTLING)
    with _checkpoints("receive"), _in_time("receive returns what was sent"):
        await other.receive()
    with _checkpoints("aclose"):
        await other.aclose()


async def _counts(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    sent = [bytes(number) for number in range(1, 31)]
    await _send(one, other, sent)
    await _receive(other, len(sent))
    ours, theirs = one.statistics(), other.statistics()
    size = sum(map(len, sent))
    promise((ours.datagrams_sent, ours.bytes_sent) == (30, size), "what was sent is counted")
    promise((theirs.datagrams_received, theirs.bytes_received) == (30, size), "what was received is counted")
    promise(ours.calls_send >= 1, "calls that sent are counted")
    promise(theirs.calls_receive >= 1, "calls that received are counted")
    promise((ours.datagrams_received, theirs.datagrams_sent) == (0, 0), "nothing else is counted")
    try:
        ours.datagrams_sent = 0  # type: ignore[misc]
    except attrs.exceptions.FrozenInstanceError:
        pass
    else:
        raise PromiseBroken("statistics are a frozen snapshot")
    await _send(one, other, [b"more"])
    promise(ours.datagrams_sent == 30, "a snapshot does not move")
    promise(one.statistics().datagrams_sent == 31, "the next snapshot has moved on")


async def _collects_troubles(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    promise(one.poll_troubles() == [], "without trouble there is none to report")
    where = other.local_address
    other.close()
    await one.send([Run(where, [b"anybody there?"])])
    await trio.sleep(_SETTLING)
    troubles = one.poll_troubles()
    # Not every network says; when it does, it must make sense, and be said once.
    for trouble in troubles:
        promise(trouble.kind in ("refused", "unreachable", "too_big", "other"), f"{trouble.kind!r} is a kind")
        promise(trouble.peer in (None, where), f"the trouble is about {where}, or about nobody in particular")
    promise(one.poll_troubles() == [], "a trouble is reported once")
    await one.send([Run(where, [b"still no exception"])])


async def _wakes_the_waiting_when_closed(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    woken = False

    async def wait() -> None:
        nonlocal woken
        try:
            await other.receive()
        except trio.ClosedResourceError:
            woken = True

    with _in_time("closing wakes a task that waits"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            other.close()
    promise(woken, "a task that waits while the endpoint is closed gets trio.ClosedResourceError")


async def _refuses_everything_once_closed(one: DatagramEndpoint, other: DatagramEndpoint) -> None:
    where = other.local_address
    one.close()
    one.close()
    runs = [Run(where, [b"too late"])]
    calls: Sequence[tuple[str, Callable[[], object]]] = (
        ("receive", one.receive),
        ("receive_nowait", one.receive_nowait),
        ("send", lambda: one.send(runs)),
        ("send_nowait", lambda: one.send_nowait(runs)),
        ("poll_troubles", one.poll_troubles),
        ("statistics", one.statistics),
    )
    for name, call in calls:
        try:
            result = call()
            if isinstance(result, Awaitable):
                await result
        except trio.ClosedResourceError:
            continue
        raise PromiseBroken(f"{name} of a closed endpoint raises trio.ClosedResourceError")
    await one.aclose()


async def _send(one: DatagramEndpoint, other: DatagramEndpoint, datagrams: list[bytes]) -> None:
    with _in_time("send finds room in the end"):
        await one.send([Run(other.local_address, datagrams)])


async def _receive(endpoint: DatagramEndpoint, count: int, text: str = "") -> list[Run]:
    runs: list[Run] = []
    with _in_time(text or f"all {count} datagrams arrive"):
        while sum(len(run.datagrams) for run in runs) < count:
            arrived = await endpoint.receive()
            promise(arrived, "receive waits until something has arrived")
            runs += arrived
    return runs


def _flat(runs: Sequence[Run]) -> list[bytes]:
    return [bytes(datagram) for run in runs for datagram in run.datagrams]


@contextmanager
def _in_time(text: str) -> Iterator[None]:
    with trio.move_on_after(_PATIENCE) as scope:
        yield
    promise(not scope.cancelled_caught, text)


@contextmanager
def _checkpoints(name: str) -> Iterator[None]:
    try:
        with trio.testing.assert_checkpoints():
            yield
    except AssertionError as exc:
        raise PromiseBroken(f"{name} passes a checkpoint, even when it need not wait") from exc
