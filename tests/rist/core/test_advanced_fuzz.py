"""Strangers' bytes into a receiver and a sender of the Advanced profile: nothing is raised, and little is held."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.primitives.datagrams import Address, Run
from terzetto.rist.core.advanced import AdvancedTranslator
from terzetto.rist.core.advanced_settings import ADVANCED_CAPABILITIES, AdvancedSettings
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.options import RistOptions
from terzetto.rist.wire.advanced_control import ControlIndex, encode_control
from terzetto.rist.wire.advanced_header import AdvancedHeader, Flag, PskMode

PEER = Address("192.0.2.7", 5000)
FLOW = 0x1000

indexes = st.sampled_from([int(index) for index in ControlIndex]) | st.integers(0, 0xFFFF)
controls = st.builds(encode_control, indexes, st.binary(max_size=60))
packets = st.builds(
    lambda sequence, odd, kind, flags, psk, body: (
        AdvancedHeader(
            sequence,
            sequence * 1000,
            FLOW | odd,
            kind=kind,
            flags=Flag(flags << 9 & ~Flag.FLOW_ID),
            psk=psk,
            nonce=b"nonc",
            iv=sequence,
        ).encode()
        + body
    ),
    sequence=st.integers(0, 300),
    odd=st.booleans(),
    kind=st.integers(0, 15),
    flags=st.integers(0, 0x7F),
    psk=st.sampled_from([0, 0, 0, 1, 2, 4]),
    body=controls | st.binary(max_size=60),
)
datagrams = packets | st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"\x10\x08" + rest)


def translator(*, is_media_sender: bool, secret: bytes | None, substrate: bool) -> AdvancedTranslator:
    tunnel = TunnelSettings(
        is_caller=False,
        is_media_sender=is_media_sender,
        secret=secret,
        advanced_capabilities=ADVANCED_CAPABILITIES,
    )
    return AdvancedTranslator(
        AdvancedSettings(tunnel=tunnel, substrate=substrate, mode=PskMode.CTR),
        payload_type=33,
        nack_type="range",
        entropy=Random(1).randbytes,
        remote=None,
    )


@pytest.mark.parametrize("substrate", [True, False])
@pytest.mark.parametrize("secret", [None, b"hush"])
@settings(max_examples=60)
@given(batches=st.lists(st.lists(datagrams, max_size=6), max_size=8))
def test_whatever_comes_nothing_is_raised(
    substrate: bool, secret: bytes | None, batches: list[list[bytes]]
) -> None:
    knobs = Settings.of(RistOptions(profile="advanced", buffer_min=0.1, buffer_max=0.1))
    receiver = Receiver(
        translator(is_media_sender=False, secret=secret, substrate=substrate),
        knobs,
        now=0,
        wall_clock_offset=0,
        entropy=Random(2).randbytes,
    )
    sender = Sender(
        translator(is_media_sender=True, secret=secret, substrate=substrate),
        knobs,
        flow_id=FLOW,
        now=0,
        wall_clock_offset=0,
        entropy=Random(3).randbytes,
    )
    now = 0
    for batch in batches:
        now += 30_000
        for core in (receiver, sender):
            core.handle_datagrams([Run(PEER, batch)], now=now)
            core.handle_timeout(now=now)
            core.poll_transmits()
            core.poll_events()
        sender.send([b"media"] * 3, now=now)
    if secret is not None:
        # Nobody without the key is anybody.
        assert not receiver.peer.is_connected
        assert not sender.peer.is_connected
        assert receiver.flow is None
