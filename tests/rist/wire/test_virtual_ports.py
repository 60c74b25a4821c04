from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.virtual_ports import DEFAULT_MEDIA_PORT, PORTS_SIZE, VirtualPorts, looks_like_report
from tests.strategies import u16


def test_librists_media_goes_from_8001_to_1968() -> None:
    ports = VirtualPorts.decode(bytes.fromhex("800107b0 80210000"))
    assert ports == VirtualPorts(0x8001, DEFAULT_MEDIA_PORT)
    assert ports.answer == VirtualPorts(1968, 0x8001)
    assert ports.encode().hex() == "800107b0"


@pytest.mark.parametrize("size", range(PORTS_SIZE))
def test_too_few_bytes_are_malformed(size: int) -> None:
    with pytest.raises(MalformedPacket):
        VirtualPorts.decode(bytes(size))


@given(st.builds(VirtualPorts, u16, u16), st.binary(max_size=5))
def test_every_pair_survives_the_wire(ports: VirtualPorts, packet: bytes) -> None:
    assert VirtualPorts.decode(ports.encode() + packet) == ports


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("80c80006", True),
        ("81c90007", True),
        ("82cc0005", True),
        ("80cf0004", True),
        ("804d0004", True),  # XR as 0.2.8 writes it
        ("80210000", False),
        ("80a10000", False),  # marker
        ("80", False),
        ("", False),
        ("00c80006", False),
    ],
)
def test_reports_are_told_from_media_by_their_type(text: str, report: bool) -> None:
    assert looks_like_report(bytes.fromhex(text)) is report
