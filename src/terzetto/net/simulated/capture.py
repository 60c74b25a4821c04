"""The packets of a simulated network as a pcapng file, for Wireshark and its like.

Every link is an interface of the file, every packet stands there at the moment it entered its link, and what did
not simply arrive says so in a comment (filter with ``frame.comment``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from terzetto.net.simulated.host import SIMULATED_EPOCH
from terzetto.net.simulated.trace import PacketRecord
from terzetto.primitives.pcapng import interface_block, packet_block, section_header, udp_packet
from terzetto.primitives.time import seconds

if TYPE_CHECKING:
    from os import PathLike

    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["CaptureWriter", "streaming_capture", "write_capture"]


class CaptureWriter:
    """Writes packet records to *file* as they come."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._interfaces: dict[str, int] = {}
        file.write(section_header())

    def write(self, record: PacketRecord) -> None:
        """Append one packet."""
        number = self._interfaces.get(record.place)
        if number is None:
            number = self._interfaces[record.place] = len(self._interfaces)
            self._file.write(interface_block(record.place))
        packet = udp_packet(record.source, record.destination, record.datagram)
        self._file.write(packet_block(number, SIMULATED_EPOCH + record.at, packet, _comment(record)))


@contextmanager
def streaming_capture(network: SimulatedNetwork, path: str | PathLike[str]) -> Iterator[None]:
    """Write everything that happens on *network* in this block, whatever the network keeps in memory."""
    with Path(path).open("wb") as file:
        stop = network.trace.watch(CaptureWriter(file).write)
        try:
            yield
        finally:
            network.settle()
            stop()


def write_capture(path: str | PathLike[str], records: Iterable[PacketRecord]) -> None:
    """Write *records* to a new file at *path*."""
    with Path(path).open("wb") as file:
        writer = CaptureWriter(file)
        for record in records:
            writer.write(record)


def _comment(record: PacketRecord) -> str:
    if not record.arrivals:
        return record.fate
    notes = [] if record.fate == "passed" else [record.fate]
    if len(record.arrivals) > 1:
        notes.append("duplicated")
    delays = ", ".join(f"{seconds(arrival - record.at) * 1000:.3f} ms" for arrival in record.arrivals)
    return f"{', '.join(notes)}; arrives after {delays}" if notes else ""
