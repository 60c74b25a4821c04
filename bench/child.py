"""A process that we started: what it has cost so far, and what it cost in all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

__all__ = ["Child", "Cpu"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")

# Asked politely first: RIST says goodbye, and a process that ends by itself has its whole rusage to tell.
_WAYS_TO_STOP: Final = ((signal.SIGINT, 2.0), (signal.SIGTERM, 1.5), (signal.SIGKILL, 5.0))


class Cpu(NamedTuple):
    """Processor seconds, in our code and in the kernel's on our behalf."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.user + self.system


class Child:
    """Runs *argv*; reads its processor time while it lives and its ``rusage`` when it ends."""

    def __init__(self, argv: Sequence[str], *, log: Path | None = None, capture: str = "") -> None:
        self.argv = list(argv)
        sink: IO[bytes] | int = subprocess.DEVNULL if log is None else log.open("ab")
        self._process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture == "stdout" else sink,
            stderr=subprocess.PIPE if capture == "stderr" else sink,
        )
        if not isinstance(sink, int):
            sink.close()
        self.pid = self._process.pid
        self.life: Cpu | None = None
        """What the whole life of the process cost, once it is over."""

    def lines(self) -> IO[bytes]:
        """What the process prints, where it was captured."""
        stream = self._process.stdout or self._process.stderr
        assert stream is not None, "nothing is captured from this process"
        return stream

    def has_ended(self) -> bool:
        """Whether it is over; takes its ``rusage`` when it is."""
        if self.life is None:
            pid, status, rusage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.life = Cpu(rusage.ru_utime, rusage.ru_stime)
                # Popen must learn that there is nothing left to wait for.
                self._process.returncode = os.waitstatus_to_exitcode(status)
        return self.life is not None

    def wait(self, patience: float) -> bool:
        """Wait for its end, at most *patience* seconds; whether it came."""
        deadline = time.monotonic() + patience
        while not self.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """End it, politely first."""
        for number, patience in _WAYS_TO_STOP:
            if self.has_ended():
                break
            os.kill(self.pid, number)
            if self.wait(patience):
                break

    def close(self) -> None:
        """End it and let go of its pipes."""
        self.stop()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def finish(self) -> bytes:
        """Ask it to end and read to the end what it prints."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGTERM)
        text = self.lines().read()
        self.wait(3.0)
        return text

    def peak_memory(self) -> float:
        """Megabytes at most since exec; ``ru_maxrss`` would count our own image as well, forked."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(r"VmHWM:\s*(\d+)", text)
        return int(found[1]) / 1024 if found else 0.0

    def cpu(self) -> Cpu:
        """What it cost so far, all threads together."""
        if self.life is not None:
            return self.life
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            threads = Path(f"/proc/{self.pid}/task").iterdir()
            exact = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
        except (OSError, IndexError):
            return Cpu(0.0, 0.0)
        coarse = Cpu(int(fields[11]) / _TICKS, int(fields[12]) / _TICKS)
        # The scheduler's sum is exact, but knows nothing of threads that have ended.
        if not coarse.total:
            return Cpu(exact, 0.0)
        if exact < coarse.total - 0.05:
            return coarse
        return Cpu(exact * coarse.user / coarse.total, exact * coarse.system / coarse.total)
