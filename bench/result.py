"""One run's figures, as a line of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import attrs

__all__ = ["Result", "read_results", "write_result"]


@attrs.frozen(kw_only=True)
class Result:
    """What was measured; a run that failed says why in ``error`` and leaves the rest at zero."""

    mode: str
    pair: str
    """``terzetto``, ``librist``, ``terzetto → librist`` ..."""
    is_reference: bool = False
    rate: float
    """Payload, Mbit/s."""
    latency: int
    """Recovery buffer of both ends, milliseconds."""
    impairment: str = ""
    seconds: float
    repeat: int = 0
    ladder: bool = False
    error: str = ""

    sent: int = 0
    delivered: int = 0
    undelivered_percent: float = 0.0
    duplicates: int = 0
    out_of_order: int = 0
    corrupt: int = 0
    sender_cpu_per_gb: float = 0.0
    """Processor seconds per 1e9 bytes of payload, in the measured part only."""
    receiver_cpu_per_gb: float = 0.0
    sender_life_per_gb: float = 0.0
    """The same over the whole life of the process, starting up included, from ``os.wait4``."""
    receiver_life_per_gb: float = 0.0
    sender_memory: float = 0.0
    """Peak, MB."""
    receiver_memory: float = 0.0
    added_delay: float = 0.0
    """Median from the source's send to the sink's receive, less the recovery buffer, milliseconds."""
    delay_p50: float = 0.0
    delay_p99: float = 0.0
    delay_max: float = 0.0
    dropped_by_sender_input: int = 0
    dropped_by_receiver_input: int = 0
    dropped_by_sink: int = 0
    """Must be 0, otherwise the bench itself was too slow."""
    source_lag: float = 0.0
    """How late the source was at most, milliseconds."""
    source_slipped: float = 0.0
    """For how long the source stood still and did not catch up, milliseconds."""
    foreign_cpu_percent: float = 0.0
    """What else ran on the machine; distrust a run where it is high."""
    stolen_cpu_percent: float = 0.0
    died: tuple[str, ...] = ()
    """Which of sender and receiver ended before they were asked to."""

    def line(self) -> str:
        """For people who watch."""
        head = f"{self.mode} {self.pair} {self.rate:g} Mbit/s {self.impairment}".rstrip()
        if self.error:
            return f"{head}: {self.error}"
        text = (
            f"{head}: undelivered {self.sent - self.delivered} ({self.undelivered_percent:.3f} %), CPU s/GB "
            f"{self.sender_cpu_per_gb:.1f} + {self.receiver_cpu_per_gb:.1f}, added delay {self.added_delay:.1f} ms, "
            f"{self.sender_memory:.0f} + {self.receiver_memory:.0f} MB, foreign CPU {self.foreign_cpu_percent:.0f} %"
        )
        return f"{text}, died: {', '.join(self.died)}" if self.died else text


def write_result(result: Result, out: TextIO) -> None:
    """Append *result* as a line of JSON; rounded, so that published files stay readable."""
    values = attrs.asdict(result)
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
    out.write(json.dumps(rounded, ensure_ascii=False) + "\n")
    out.flush()


def read_results(path: Path) -> list[Result]:
    """Every run in a file of such lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    return [Result(**{**record, "died": tuple(record.get("died", ()))}) for record in records]
