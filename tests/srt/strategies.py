"""Hypothesis strategies for SRT's wire values."""

from __future__ import annotations

from hypothesis import strategies as st

from terzetto.srt.wire.extensions import Capabilities, Capability, Extensions, GroupMembership
from terzetto.srt.wire.key_material import CipherKind, KeyMaterial

words = st.integers(0, 0xFFFF_FFFF)
sequences = st.integers(0, 0x7FFF_FFFF)
halves = st.integers(0, 0xFFFF)

# Strings end where the zero padding begins, so none of them can end with a zero itself.
texts = st.binary(max_size=60).map(lambda raw: raw.rstrip(b"\0"))

capabilities = st.builds(
    Capabilities,
    version=words,
    flags=st.integers(0, 255).map(Capability),
    receiver_delay_ms=halves,
    sender_delay_ms=halves,
)
groups = st.builds(
    GroupMembership,
    group_id=st.integers(0x4000_0000, 0x7FFF_FFFF),
    kind=st.integers(0, 255),
    flags=st.integers(0, 255),
    weight=halves,
)


@st.composite
def key_materials(draw: st.DrawFn) -> KeyMaterial:
    keys = draw(st.integers(1, 3))
    size = draw(st.sampled_from((16, 24, 32)))
    length = size * (2 if keys == 3 else 1) + 8
    return KeyMaterial(
        keys=keys,
        cipher=draw(st.sampled_from(CipherKind)),
        salt=draw(st.binary(min_size=16, max_size=16)),
        key_size=size,
        wrapped=draw(st.binary(min_size=length, max_size=length)),
    )


extensions = st.builds(
    Extensions,
    capabilities=st.none() | capabilities,
    stream_id=texts,
    congestion=texts.map(lambda raw: raw[:16].rstrip(b"\0")),
    packet_filter=texts,
    group=st.none() | groups,
    key_material=st.just(b"") | key_materials().map(lambda material: material.encode()),
)
