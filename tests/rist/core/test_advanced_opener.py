from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_evidence import MPEG_TS
from terzetto.rist.core.advanced_opener import AdvancedOpener
from terzetto.rist.core.advanced_sealer import AdvancedSealer
from terzetto.rist.core.psk_receiver import (
    ClearTextRefused,
    PassphraseMissing,
    PassphraseProved,
    PassphraseWrong,
    PskReceiver,
)
from terzetto.rist.wire.advanced_header import AdvancedHeader, Flag, PayloadType, PskMode, decode_run

SSRC = 0xAABBCC00
TS = b"\x47" + bytes(187)
DESCRIBED = MPEG_TS.to_bytes(4, "big") + b"payload"


class World:
    """A sender's keys, and a receiver's."""

    def __init__(
        self,
        mode: PskMode,
        *,
        ours: bytes | None = b"hush",
        theirs: bytes = b"hush",
        expects: PskMode | None = None,
        key_size: int = 256,
    ) -> None:
        chance = Random(mode)
        self.mode = mode
        self.sealer = AdvancedSealer(
            mode=mode, key_size=256 if key_size == 256 else 128, entropy=chance.randbytes
        )
        self.sealer.use(theirs, 0)
        self.tunnel = PskReceiver(ours, now=0)
        self.opener = AdvancedOpener(self.tunnel, mode=expects or mode, key_bits=256, now=0)
        self.sequence = 0

    def seal(
        self, *bodies: bytes, flags: Flag = Flag.DESCRIPTOR, kind: int = PayloadType.DIRECT
    ) -> list[Buffer]:
        heads = []
        for _ in bodies:
            header = AdvancedHeader(
                self.sequence, 0, SSRC, kind=kind, flags=Flag.FIRST | Flag.LAST | flags, psk=self.mode
            )
            heads.append(header.encode()[:16])
            self.sequence += 1
        return self.sealer.seal_run(heads, list(bodies))

    def open(self, datagrams: list[Buffer], *, now: int = 0) -> list[bytes]:
        return [
            bytes(body)
            for run in decode_run(datagrams, Counter())
            for body in self.opener.open_run(run, now=now)[1]
        ]


MODES = [PskMode.CTR, PskMode.HMAC, PskMode.CTR_HMAC, PskMode.GCM, PskMode.CHACHA20]


@pytest.mark.parametrize("mode", MODES)
def test_what_was_sealed_is_opened_once(mode: PskMode) -> None:
    world = World(mode)
    datagrams = world.seal(*[DESCRIBED + bytes([n]) for n in range(20)])
    assert world.open(datagrams[:10]) == [DESCRIBED + bytes([n]) for n in range(10)]
    assert [type(news) for news in world.opener.poll_news()] == [PassphraseProved]
    overtaken = [*datagrams[15:], *datagrams[10:15]]
    assert len(world.open(overtaken)) == 10
    if mode != PskMode.HMAC:  # which has no IV: the recovery buffer drops its copies
        assert world.open(datagrams) == []
        assert world.opener.dropped["replayed"] == 20


@pytest.mark.parametrize("mode", MODES)
def test_another_secret_is_noticed_and_said_once(mode: PskMode) -> None:
    world = World(mode, theirs=b"another")
    for _ in range(20):
        # No descriptor that happens to be there in the clear may help.
        assert (
            world.open(world.seal(DESCRIBED if mode == PskMode.HMAC else TS * 7, flags=Flag.DESCRIPTOR)) == []
        )
    news = [type(each) for each in world.opener.poll_news()]
    if mode == PskMode.CTR:
        # Noise behind a descriptor proves nothing and speaks against nothing.
        assert news == []
    else:
        assert news == [PassphraseWrong]


def test_counter_mode_is_spoken_against_by_control_messages_and_headers_that_make_no_sense() -> None:
    world = World(PskMode.CTR, theirs=b"another")
    for _ in range(20):
        assert (
            world.open(world.seal(b"\x80\0\0\x08" + bytes(8), flags=Flag.EXPEDITE, kind=PayloadType.CONTROL))
            == []
        )
    assert [type(each) for each in world.opener.poll_news()] == [PassphraseWrong]


def test_both_sizes_of_key_are_tried() -> None:
    assert World(PskMode.GCM, key_size=128).open(World(PskMode.GCM, key_size=128).seal(DESCRIBED)) == [
        DESCRIBED
    ]


def test_a_payload_that_proves_nothing_waits_until_something_does() -> None:
    world = World(PskMode.CTR)
    opaque = world.seal(b"opaque", flags=Flag(0))
    assert world.open(opaque) == []
    assert world.open(world.seal(TS * 7, flags=Flag(0))) == [TS * 7]
    assert world.open(world.seal(b"opaque", flags=Flag(0))) == [b"opaque"]


def test_clear_text_is_refused_on_a_session_with_a_secret() -> None:
    world = World(PskMode.CTR)
    clear = AdvancedHeader(0, 0, SSRC).encode() + b"payload"
    assert world.open([clear]) == []
    assert [type(each) for each in world.opener.poll_news()] == [ClearTextRefused]
    # Sealed, but readable by all: only who asked for that gets it.
    world = World(PskMode.HMAC, expects=PskMode.CTR)
    assert world.open(world.seal(DESCRIBED)) == []
    assert [type(each) for each in world.opener.poll_news()] == [ClearTextRefused]


def test_who_wants_seals_takes_nothing_without_one() -> None:
    world = World(PskMode.CTR, expects=PskMode.GCM)
    assert world.open(world.seal(DESCRIBED)) == []
    assert world.opener.dropped == {"enciphered without a seal": 1}


def test_a_secret_that_is_missing_is_said() -> None:
    world = World(PskMode.GCM, ours=None)
    assert world.open(world.seal(DESCRIBED)) == []
    assert [type(each) for each in world.opener.poll_news()] == [PassphraseMissing]
    clear = AdvancedHeader(0, 0, SSRC).encode() + b"payload"
    assert world.open([clear]) == [b"payload"]


def test_a_flood_of_nonces_costs_few_derivations_and_pushes_nobody_out() -> None:
    world = World(PskMode.GCM)
    assert world.open(world.seal(DESCRIBED)) == [DESCRIBED]
    chance = Random(1)
    for number in range(2000):
        header = AdvancedHeader(
            0, 0, SSRC, psk=PskMode.GCM, nonce=chance.randbytes(4), iv=number, hash=chance.randbytes(16)
        )
        assert world.open([header.encode() + b"noise"], now=number) == []
    assert world.opener.dropped["too many new nonces"] > 1900
    assert world.open(world.seal(DESCRIBED), now=3000) == [DESCRIBED]


def test_an_announced_nonce_is_ready_when_it_comes() -> None:
    world = World(PskMode.GCM)
    world.open(world.seal(DESCRIBED))
    world.sealer.use(b"hush", 1)
    (datagram,) = world.seal(DESCRIBED)
    world.opener.prepare(world.sealer.nonce, now=0)
    spent = world.opener.dropped.total()
    # Not one derivation is left for it.
    while world.opener._derivations.take(1, 0):
        pass
    assert world.open([datagram]) == [DESCRIBED]
    assert world.opener.dropped.total() == spent


def test_a_nonce_of_another_passphrase_of_ours_is_tried_with_it() -> None:
    world = World(PskMode.GCM)
    world.open(world.seal(DESCRIBED))
    world.tunnel.install_passphrase(b"next")
    world.sealer.use(b"next", 1)
    assert world.open(world.seal(DESCRIBED)) == [DESCRIBED]
