"""The deciphering side of the Advanced profile: what comes out was enciphered with our passphrase, and is new.

As with the Main profile's key (`psk_receiver`): nothing is let out under a nonce before a packet has proved its key,
derivations are granted at a rate, and repeats of a packet that was recorded are refused. Where packets carry a hash it
is the proof; counter mode is proved by what it reveals, or by the tunnel beside it having proved the same passphrase.
The header does not say which size of key there is, so ours is tried first and the other one after it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.advanced_ciphers import SEALED, PacketCipher, make_ciphers
from terzetto.rist.core.advanced_evidence import advanced_evidence
from terzetto.rist.core.psk_evidence import Evidence
from terzetto.rist.core.psk_receiver import (
    ClearTextRefused,
    PassphraseMissing,
    PassphraseProved,
    PassphraseWrong,
    PskNews,
    PskReceiver,
)
from terzetto.rist.core.replay_window import WINDOW, ReplayWindow
from terzetto.rist.wire.advanced_header import AdvancedRun, Flag, PayloadType, PskMode

__all__ = ["AdvancedOpener"]

# Protected and unprotected flow: the nonce in use, the one before, one announced.
_PROVED_KEPT: Final = 8
_UNPROVED_KEPT: Final = 4
_PATIENCE: Final = 5
_DERIVATIONS_PER_SECOND: Final = 10
_DERIVATIONS_AT_ONCE: Final = 24
_KNOWN: Final = frozenset({PskMode.CTR, PskMode.HMAC, PskMode.CTR_HMAC, PskMode.GCM, PskMode.CHACHA20})
_NO_NONCE: Final = bytes(4)


class _Proved:
    __slots__ = ("cipher", "window")

    def __init__(self, cipher: PacketCipher) -> None:
        self.cipher = cipher
        self.window = ReplayWindow()


class _Unproved:
    __slots__ = ("against", "ciphers")

    def __init__(self) -> None:
        self.ciphers: list[tuple[bytes, int, PacketCipher]] = []
        self.against = 0


class AdvancedOpener:
    """Deciphers what one peer sends; passphrases are those of the tunnel beside it."""

    def __init__(self, tunnel: PskReceiver, *, mode: int, key_bits: int, now: Micros) -> None:
        self._tunnel = tunnel
        self._mode = mode
        self._sizes = (key_bits, 128 if key_bits == 256 else 256)
        self._proved: OrderedDict[tuple[bytes, int], _Proved] = OrderedDict()
        self._unproved: OrderedDict[tuple[bytes, int], _Unproved] = OrderedDict()
        self._derivations = TokenBucket(_DERIVATIONS_PER_SECOND, _DERIVATIONS_AT_ONCE, now=now)
        self._passphrases: Sequence[bytes] = ()
        self._told: set[type[PskNews]] = set()
        self._news: list[PskNews] = []
        self.dropped: Counter[str] = Counter()

    def poll_news(self) -> list[PskNews]:
        """What the user should know."""
        news, self._news = self._news, []
        return news

    def open_run(self, run: AdvancedRun, *, now: Micros) -> tuple[AdvancedRun, list[Buffer]]:
        """The packets of *run* that may be looked at, and their bodies in the clear."""
        if not run.header.psk:
            return run, self._open_clear(run)
        if not self._is_sound(run):
            return run, []
        self._mind_passphrases()
        assert run.header.nonce is not None
        proved = self._proved.get((run.header.nonce, run.header.psk))
        if proved is None:
            return self._open_unproved(run, now)
        return self._open_proved(run, proved)

    def prepare(self, nonce: bytes, *, now: Micros) -> None:
        """The peer announced its next nonce: make the key before it is needed."""
        if any(nonce) and self._tunnel.is_keyed and not any(nonce == held for held, _ in self._proved):
            mode = next(reversed(self._proved))[1] if self._proved else self._mode
            self._candidates(nonce, mode, now, ahead=True)

    # -- what may be looked at at all ----------------------------------------------------------------------------

    def _open_clear(self, run: AdvancedRun) -> list[Buffer]:
        if not self._tunnel.is_keyed or run.header.kind == PayloadType.CONTROL:
            return run.bodies()  # what control messages may say in the clear is for their reader to decide
        self.refuse_clear_text(len(run.datagrams))
        return []

    def refuse_clear_text(self, packets: int) -> None:
        """So many packets in the clear were not taken, although we have a secret."""
        self._drop("clear text on a session with a secret", packets)
        self._tell(ClearTextRefused())

    def _is_sound(self, run: AdvancedRun) -> bool:
        mode = run.header.psk
        count = len(run.datagrams)
        if not self._tunnel.is_keyed:
            self._drop("enciphered, and no secret is set", count)
            self._tell(PassphraseMissing())
        elif mode not in _KNOWN:
            self._drop("enciphered in a way that nobody defined", count)
        elif run.header.nonce == _NO_NONCE:
            self._drop("nonce is zero", count)
        elif mode == PskMode.HMAC and self._mode != PskMode.HMAC:
            self.refuse_clear_text(count)
        elif self._mode in SEALED and mode not in SEALED:
            self._drop("enciphered without a seal", count)
        else:
            return True
        return False

    def _mind_passphrases(self) -> None:
        """Keys of a passphrase that is no longer ours are forgotten."""
        held = self._tunnel.passphrases(0)
        if held != self._passphrases:
            if self._passphrases and not set(held) & set(self._passphrases):
                self._proved.clear()
            self._passphrases = held
            self._unproved.clear()
            self._told.discard(PassphraseWrong)
            self._told.discard(PassphraseMissing)

    # -- nonces whose key is known -------------------------------------------------------------------------------

    def _open_proved(self, run: AdvancedRun, proved: _Proved) -> tuple[AdvancedRun, list[Buffer]]:
        size = run.clear_size
        opener = proved.cipher.open
        is_sealed = run.header.psk in SEALED
        if not run.ivs:  # a hash alone: recorded packets are duplicates, which the flow knows
            opened = [opener(datagram, size, 0) for datagram in run.datagrams]
            keep = [plain is not None for plain in opened]
        else:
            opened = [opener(datagram, size, iv) for datagram, iv in zip(run.datagrams, run.ivs, strict=True)]
            first, count = run.ivs[0], len(run.ivs)
            if (
                None not in opened
                and run.ivs == list(range(first, first + count))
                and (is_sealed or proved.window.leap(first) <= WINDOW)
                and proved.window.take_consecutive(first, count)
            ):
                keep = []
            else:
                # libRIST's IV is the sequence, also of a repeat; what is not new the recovery buffer knows.
                is_repeat = run.word & Flag.RETRANSMISSION
                keep = [
                    (is_repeat and iv == sequence and plain is not None)
                    or self._is_new(run, plain, iv, proved.window, is_sealed=is_sealed)
                    for plain, iv, sequence in zip(opened, run.ivs, run.sequences, strict=True)
                ]
        if not keep or all(keep):
            return run, [plain for plain in opened if plain is not None]
        if None in opened:
            self._drop("altered, or sealed with another key", opened.count(None))
        return _chosen(run, keep), [
            plain for plain, good in zip(opened, keep, strict=True) if good and plain is not None
        ]

    def _is_new(
        self, run: AdvancedRun, plain: Buffer | None, iv: int, window: ReplayWindow, *, is_sealed: bool
    ) -> bool:
        if plain is None:
            return False
        if (
            not is_sealed
            and window.leap(iv) > WINDOW
            and advanced_evidence(run.word, plain) is not Evidence.PROOF
        ):
            # One forged packet could otherwise close the window before all that follow.
            self._drop("IV leaps without proof")
            return False
        if not window.take(iv):
            self._drop("replayed")
            return False
        return True

    # -- nonces that nothing is known of -------------------------------------------------------------------------

    def _open_unproved(self, run: AdvancedRun, now: Micros) -> tuple[AdvancedRun, list[Buffer]]:
        assert run.header.nonce is not None
        mode = run.header.psk
        trial = self._candidates(run.header.nonce, mode, now)
        count = len(run.datagrams)
        if not trial.ciphers:
            self._drop("too many new nonces", count)
            return run, []
        if trial.against > _PATIENCE:
            self._drop("enciphered with another secret", count)
            return run, []
        ivs = run.ivs or [0] * count
        best = [Evidence.AGAINST] * count
        for passphrase, bits, cipher in trial.ciphers:
            for index, (datagram, iv) in enumerate(zip(run.datagrams, ivs, strict=True)):
                found = self._evidence(run, cipher.open(datagram, run.clear_size, iv), passphrase, bits)
                if found is Evidence.PROOF:
                    proved = self._prove(run, cipher)
                    return self._open_proved(run, proved)
                best[index] = max(best[index], found)
        self._drop("enciphered with a key not proved yet", count)
        trial.against += best.count(Evidence.AGAINST)
        if trial.against > _PATIENCE:
            self._tell(PassphraseWrong())
        return run, []

    def _evidence(self, run: AdvancedRun, plain: Buffer | None, passphrase: bytes, bits: int) -> Evidence:
        if run.header.psk in SEALED:
            return Evidence.AGAINST if plain is None else Evidence.PROOF
        assert plain is not None
        found = advanced_evidence(run.word, plain)
        if found is Evidence.NONE and bits == self._sizes[0] and self._tunnel.has_proved(passphrase):
            return Evidence.PROOF
        return found

    def _candidates(self, nonce: bytes, mode: int, now: Micros, *, ahead: bool = False) -> _Unproved:
        """The keys a nonce might mean, derived as far as the rate allows; *ahead* of need only the likeliest."""
        trial = self._unproved.get((nonce, mode))
        if trial is None:
            trial = _Unproved()
            if self._derivations.available(now) < 1:
                return trial
            self._unproved[nonce, mode] = trial
            if len(self._unproved) > _UNPROVED_KEPT:
                self._unproved.popitem(last=False)
        sizes = (256,) if mode == PskMode.CHACHA20 else self._sizes
        for bits in sizes[:1] if ahead else sizes:
            for passphrase in self._tunnel.passphrases(nonce[0] >> 7)[: 1 if ahead else 2]:
                if any((passphrase, bits) == held[:2] for held in trial.ciphers):
                    continue
                if not self._derivations.take(1, now):
                    return trial
                for cipher in make_ciphers(mode, passphrase, nonce, key_bits=bits):
                    trial.ciphers.append((passphrase, bits, cipher))
        return trial

    def _prove(self, run: AdvancedRun, cipher: PacketCipher) -> _Proved:
        assert run.header.nonce is not None
        identity = run.header.nonce, run.header.psk
        self._unproved.pop(identity, None)
        proved = self._proved[identity] = _Proved(cipher)
        if len(self._proved) > _PROVED_KEPT:
            self._proved.popitem(last=False)
        self._told.clear()
        if not run.header.ssrc & 1:
            self._news.append(PassphraseProved(run.header.nonce))
        return proved

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    def _tell(self, news: PskNews) -> None:
        """Say it once, until something changes."""
        if type(news) not in self._told:
            self._told.add(type(news))
            self._news.append(news)


def _chosen(run: AdvancedRun, keep: list[bool]) -> AdvancedRun:
    """The packets of *run* that are kept."""
    return run._replace(
        sequences=[each for each, good in zip(run.sequences, keep, strict=True) if good],
        timestamps=[each for each, good in zip(run.timestamps, keep, strict=True) if good],
        ivs=[each for each, good in zip(run.ivs, keep, strict=True) if good] if run.ivs else [],
        datagrams=[each for each, good in zip(run.datagrams, keep, strict=True) if good],
    )
