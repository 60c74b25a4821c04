"""Whether a protocol core speaks the grammar of `terzetto.driver.contract`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Generic, TypeVar

from terzetto.driver.contract import Core
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.testing.promises import PromiseBroken, promise

__all__ = ["check_core"]

# Whatever its events are: nothing here looks inside them, and Core is invariant in their type.
CoreT = TypeVar("CoreT", bound=Core[Any])

_LONGEST_DATAGRAM: Final = 65_507

# A core may do one thing per call when several are due, but not for ever.
_CALLS_PER_MOMENT: Final = 1000

PEER: Final = Address("192.0.2.1", 5000)
STRANGER: Final = Address("198.51.100.66", 6666)


def check_core(
    make_core: Callable[[], CoreT],
    make_peer: Callable[[], CoreT] | None = None,
    *,
    commands: Sequence[Callable[[CoreT, Micros], object]] = (),
    peer: Address = PEER,
    steps: int = 400,
    seed: int = 0,
) -> None:
    """Put cores from *make_core* through what every core promises; raises `PromiseBroken` when one does not hold.

    *make_core* must make the same core each time: same options, same (deterministic) entropy. With *make_peer*
    the core talks to a real counterpart at *peer* as well, so that the strange input reaches it in every state
    of a conversation. *commands* are things a user might ask, called with the core and the time; they may raise
    what they like, as long as they do it again in a replay.

    Checked are: polls empty what they poll; input from strangers never raises; calling `handle_timeout` when it is
    due moves `next_timeout` on (nothing spins); the same inputs give the same outputs.
    """
    first = _Examination(make_core(), make_peer() if make_peer else None, commands, peer, Random(seed))
    again = _Examination(make_core(), make_peer() if make_peer else None, commands, peer, Random(seed))
    for step in range(steps):
        seen, replayed = first.step(), again.step()
        promise(
            seen == replayed,
            f"the same inputs give the same outputs; at step {step} one run gave\n{seen}\nand the replay\n{replayed}",
        )


class _Examination(Generic[CoreT]):
    """One run of strange input against one core."""

    def __init__(
        self,
        core: CoreT,
        counterpart: CoreT | None,
        commands: Sequence[Callable[[CoreT, Micros], object]],
        peer: Address,
        random: Random,
    ) -> None:
        self._core = core
        self._counterpart = counterpart
        self._commands = commands
        self._peer = peer
        self._ourselves = peer._replace(port=peer.port + 1)
        self._random = random
        self._now: Micros = 10 * MICROS_PER_SECOND
        self._seen_on_the_wire: list[bytes] = []
        self._for_core: list[Run] = []
        self._outcome: list[object] = []

    def step(self) -> list[object]:
        """One input of a random kind, and everything that came out of the core."""
        random = self._random
        kind = random.random()
        outcome = self._outcome = []
        if kind < 0.25:
            self._hand_over(
                [Run(self._pick_sender(), [self._strange_datagram() for _ in range(random.randrange(4))])]
            )
        elif kind < 0.5:
            runs, self._for_core = self._for_core, []
            self._hand_over(runs)
        elif kind < 0.65 and self._commands:
            outcome.append(self._command())
        elif kind < 0.9:
            self._let_time_pass()
        else:
            self._handle_timeout()  # early: harmless when nothing is due
        self._drain()
        if self._counterpart is not None:
            self._run_counterpart()
        return outcome

    def _pick_sender(self) -> Address:
        return self._peer if self._random.random() < 0.7 else STRANGER

    def _strange_datagram(self) -> bytes:
        random = self._random
        if not self._seen_on_the_wire or random.random() < 0.3:
            return random.randbytes(random.choice((0, 1, 3, 4, 8, 12, 16, 28, 44, 64, 200, 1316, 1500)))
        known = bytearray(random.choice(self._seen_on_the_wire))
        kind = random.random()
        if kind < 0.3:
            return bytes(known[: random.randrange(len(known) + 1)])
        if kind < 0.5:
            return bytes(known) + random.randbytes(random.randrange(1, 20))
        for _ in range(random.randrange(3)):
            if known:
                known[random.randrange(min(len(known), 64))] = random.randrange(256)
        return bytes(known)

    def _hand_over(self, runs: list[Run]) -> None:
        try:
            self._core.handle_datagrams(runs, now=self._now)
        except Exception as exc:
            shown = [(str(run.peer), [bytes(datagram).hex() for datagram in run.datagrams]) for run in runs]
            raise PromiseBroken(f"no input raises for what a peer sent, but {exc!r} came of {shown}") from exc

    def _command(self) -> str:
        command = self._random.choice(list(self._commands))
        try:
            command(self._core, self._now)
        except Exception as exc:
            return f"command refused: {exc!r}"
        return "command taken"

    def _let_time_pass(self) -> None:
        due = self._next_timeout()
        if due is None or self._random.random() < 0.3:
            self._now += self._random.randrange(0, 100_000)
        else:
            self._now = max(due, self._now)
        for _ in range(_CALLS_PER_MOMENT):
            due = self._next_timeout()
            if due is None or due > self._now:
                return
            self._handle_timeout()
            self._drain()
        raise PromiseBroken(
            f"handle_timeout does what is due, but after {_CALLS_PER_MOMENT} calls at {self._now} "
            f"next_timeout still says {due}: whoever drives this core would spin"
        )

    def _handle_timeout(self) -> None:
        try:
            self._core.handle_timeout(now=self._now)
        except Exception as exc:
            raise PromiseBroken(f"handle_timeout is harmless, but raised {exc!r} at {self._now}") from exc

    def _next_timeout(self) -> Micros | None:
        due = self._core.next_timeout()
        promise(due is None or type(due) is int, f"next_timeout is whole microseconds or None, not {due!r}")
        return due

    def _drain(self) -> None:
        transmits = self._core.poll_transmits()
        events = list(self._core.poll_events())
        promise(not self._core.poll_transmits(), "poll_transmits empties what it polls")
        promise(not self._core.poll_events(), "poll_events empties what it polls")
        self._remember(transmits)
        sent = [(run.peer, tuple(bytes(each) for each in run.datagrams), run.path) for run in transmits]
        self._outcome += [sent, events, self._next_timeout()]

    def _remember(self, transmits: Sequence[Run]) -> None:
        for run in transmits:
            promise(isinstance(run, Run), f"transmits are Runs, not {run!r}")
            for datagram in run.datagrams:
                promise(
                    len(datagram) <= _LONGEST_DATAGRAM, f"a datagram of {len(datagram)} bytes cannot be sent"
                )
                if len(self._seen_on_the_wire) < 500:
                    self._seen_on_the_wire.append(bytes(datagram))
            if self._counterpart is not None and run.peer == self._peer:
                self._counterpart.handle_datagrams([run._replace(peer=self._ourselves)], now=self._now)

    def _run_counterpart(self) -> None:
        counterpart = self._counterpart
        assert counterpart is not None
        due = counterpart.next_timeout()
        if due is not None and due <= self._now:
            counterpart.handle_timeout(now=self._now)
        for run in counterpart.poll_transmits():
            self._seen_on_the_wire += [bytes(datagram) for datagram in run.datagrams][:5]
            if len(self._for_core) < 200:
                self._for_core.append(run._replace(peer=self._peer))
        counterpart.poll_events()
