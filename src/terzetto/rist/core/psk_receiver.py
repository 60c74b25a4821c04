"""The deciphering side of RIST's pre-shared key: what comes out was enciphered with our passphrase, and is new.

Each nonce is tried with both passphrases that we may hold, first with the one that its highest bit asks for (old
senders set that bit at random). Until a packet has *proved* a key, nothing that was deciphered with it is let out;
when several in a row speak against it, the passphrase is wrong, and that is said once. Derivations are dear and a
stranger can ask for one with every packet, so they are granted at a rate; nonces under which nothing was proved
cannot push out those that were.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final, NamedTuple, TypeAlias

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.psk_evidence import Evidence, evidence
from terzetto.rist.core.psk_keys import PskKey, check_passphrase, slot_of
from terzetto.rist.core.replay_window import WINDOW, ReplayWindow
from terzetto.rist.wire.gre import REDUCED, VSF, GreRun
from terzetto.rist.wire.virtual_ports import DEFAULT_MEDIA_PORT, PORTS_SIZE, VirtualPorts

__all__ = [
    "ClearTextRefused",
    "PassphraseMissing",
    "PassphraseProved",
    "PassphraseWrong",
    "PskNews",
    "PskReceiver",
]

# Proved nonces that are kept: the one in use, the one before for packets that were overtaken, one announced.
_PROVED_KEPT: Final = 4
_UNPROVED_KEPT: Final = 4

# libRIST gives up after as many.
_PATIENCE: Final = 5

# A sender that rotates fast changes nonces a few times a second; a flood asks for thousands.
_DERIVATIONS_PER_SECOND: Final = 10
_DERIVATIONS_AT_ONCE: Final = 20

_PORTS_REMEMBERED: Final = 64
_NO_NONCE: Final = bytes(4)
_VSF_DATA: Final = bytes(4)

# Virtual ports and an RTP header.
_PLAIN_MEDIA: Final = 16


class PassphraseProved(NamedTuple):
    """A packet under a new nonce was deciphered and makes sense."""

    nonce: bytes


class PassphraseWrong(NamedTuple):
    """Packets of the peer make no sense with our passphrase: it has another one."""


class PassphraseMissing(NamedTuple):
    """The peer enciphers, and we have no passphrase at all."""


class ClearTextRefused(NamedTuple):
    """The peer speaks in the clear although we have a passphrase."""


PskNews: TypeAlias = PassphraseProved | PassphraseWrong | PassphraseMissing | ClearTextRefused


class _Proved:
    """A nonce whose key is known to be right."""

    __slots__ = ("key", "window")

    def __init__(self, key: PskKey) -> None:
        self.key = key
        self.window = ReplayWindow()


class _Unproved:
    """A nonce with the keys that it might mean."""

    __slots__ = ("against", "keys")

    def __init__(self) -> None:
        self.keys: list[tuple[bytes, PskKey]] = []
        self.against = 0


class PskReceiver:
    """Deciphers one direction of a tunnel; without a passphrase it lets clear text pass and nothing else."""

    def __init__(self, passphrase: bytes | None, *, now: Micros, allow_old_counter: bool = False) -> None:
        self._slots: list[bytes | None] = [None, None]
        self._slot_in_use = 0
        self._proved: OrderedDict[tuple[bytes, bool], _Proved] = OrderedDict()
        self._unproved: OrderedDict[tuple[bytes, bool], _Unproved] = OrderedDict()
        self._ports = {DEFAULT_MEDIA_PORT, DEFAULT_MEDIA_PORT + 1}
        self._derivations = TokenBucket(_DERIVATIONS_PER_SECOND, _DERIVATIONS_AT_ONCE, now=now)
        self._allow_old_counter = allow_old_counter
        self._told: set[type[PskNews]] = set()
        self._news: list[PskNews] = []
        self.dropped: Counter[str] = Counter()
        """Packets that were not let out, by reason."""
        if passphrase is not None:
            self.replace_passphrase(passphrase)

    # -- passphrases ---------------------------------------------------------------------------------------------

    @property
    def is_keyed(self) -> bool:
        """Whether there is a passphrase, and so clear text is refused."""
        return self._slots != [None, None]

    @property
    def passphrase_in_use(self) -> bytes | None:
        """The one that the peer was last proved to use."""
        return self._slots[self._slot_in_use]

    def passphrases(self, slot: int) -> list[bytes]:
        """Those that the peer may be using, first the one for nonces with that highest bit."""
        ordered = dict.fromkeys((self._slots[slot], self._slots[slot ^ 1]))
        return [passphrase for passphrase in ordered if passphrase is not None]

    def has_proved(self, passphrase: bytes) -> bool:
        """Whether a packet showed that the peer uses *passphrase*."""
        return bool(self._proved) and self.passphrase_in_use == passphrase

    def install_passphrase(self, passphrase: bytes) -> None:
        """Hold another passphrase ready, in the place that is not in use; the present one stays valid."""
        check_passphrase(passphrase)
        if not self.is_keyed:
            self.replace_passphrase(passphrase)
            return
        self._slots[self._slot_in_use ^ 1] = passphrase
        self._forgive()

    def replace_passphrase(self, passphrase: bytes) -> None:
        """Use this passphrase and no other."""
        check_passphrase(passphrase)
        self._slots = [passphrase, passphrase]
        self._proved.clear()
        self._forgive()

    def _forgive(self) -> None:
        self._unproved.clear()
        self._told.discard(PassphraseWrong)
        self._told.discard(PassphraseMissing)

    def prepare(self, nonce: bytes, *, wide_key: bool, now: Micros) -> None:
        """The peer announced its next nonce: make the keys before they are needed."""
        if any(nonce) and (nonce, wide_key) not in self._proved:
            self._candidates(nonce, wide_key, now)

    # -- packets -------------------------------------------------------------------------------------------------

    def open_run(self, run: GreRun, *, now: Micros) -> list[Buffer]:
        """The run's payloads, deciphered, less those that are refused; clear text as it came where that is right."""
        if run.nonce is None:
            return self._open_clear(run)
        if not self._is_sound(run):
            return []
        proved = self._proved.get((run.nonce, run.wide_key))
        if proved is None:
            return self._open_unproved(run, now)
        old_counter = run.version == 0
        plains = proved.key.apply(run.sequences, run.payloads, old_counter=old_counter)
        return self._sift(run, proved, run.sequences, plains)

    def poll_news(self) -> list[PskNews]:
        """What the user should know."""
        news, self._news = self._news, []
        return news

    def _open_clear(self, run: GreRun) -> list[Buffer]:
        if not self.is_keyed:
            return run.payloads
        self._drop("clear text on a session with a secret", len(run.payloads))
        self._tell(ClearTextRefused())
        return []

    def _is_sound(self, run: GreRun) -> bool:
        """Whether an enciphered run can be deciphered at all."""
        count = len(run.payloads)
        if not self.is_keyed:
            self._drop("enciphered, and no secret is set", count)
            self._tell(PassphraseMissing())
        elif run.nonce == _NO_NONCE:
            self._drop("nonce is zero", count)
        elif not run.sequences:
            self._drop("enciphered without a sequence", count)
        elif run.version == 0 and not self._allow_old_counter:
            self._drop("enciphered in the insecure way of 2020", count)
        else:
            return True
        return False

    def _sift(self, run: GreRun, proved: _Proved, sequences: list[int], plains: list[bytes]) -> list[Buffer]:
        """Of a proved key's packets those that make sense and are new."""
        first, count = sequences[0], len(plains)
        # The short way: a run of media, in order, not far from the one before.
        if (
            sequences == list(range(first, first + count))
            and _is_plain_media(run.protocol_type, plains)
            and proved.window.leap(first) <= WINDOW
            and proved.window.take_consecutive(first, count)
        ):
            return list(plains)
        accepted: list[Buffer] = []
        for sequence, plain in zip(sequences, plains, strict=True):
            found = evidence(run.protocol_type, plain, self._ports)
            if found is Evidence.AGAINST:
                self._drop("deciphered to nonsense")
            elif found is Evidence.NONE and proved.window.leap(sequence) > WINDOW:
                # One forged packet could otherwise close the window before all that follow.
                self._drop("sequence leaps without proof")
            elif not proved.window.take(sequence):
                self._drop("replayed")
            else:
                accepted.append(plain)
        return accepted

    # -- nonces that nothing is known of -------------------------------------------------------------------------

    def _open_unproved(self, run: GreRun, now: Micros) -> list[Buffer]:
        assert run.nonce is not None
        trial = self._candidates(run.nonce, run.wide_key, now)
        count = len(run.payloads)
        if not trial.keys:
            self._drop("too many new nonces", count)
            return []
        if trial.against > _PATIENCE:
            self._drop("enciphered with another secret", count)
            return []
        for passphrase, key in trial.keys:
            plains = key.apply(run.sequences, run.payloads, old_counter=run.version == 0)
            for plain in plains:
                if evidence(run.protocol_type, plain, self._ports) is Evidence.PROOF:
                    proved = self._prove(run, passphrase, key)
                    accepted = self._sift(run, proved, run.sequences, plains)
                    self._learn_ports(run, accepted)
                    return accepted
        self._drop("enciphered with a key not proved yet", count)
        trial.against += self._against(run, trial)
        if trial.against > _PATIENCE:
            self._tell(PassphraseWrong())
        return []

    def _against(self, run: GreRun, trial: _Unproved) -> int:
        """How many of a run's packets speak against every key there is."""
        found = [0] * len(run.payloads)
        for _, key in trial.keys:
            plains = key.apply(run.sequences, run.payloads, old_counter=run.version == 0)
            for index, plain in enumerate(plains):
                found[index] = max(found[index], evidence(run.protocol_type, plain, self._ports))
        return found.count(Evidence.AGAINST)

    def _candidates(self, nonce: bytes, wide_key: bool, now: Micros) -> _Unproved:
        """The keys a nonce might mean, derived as far as the rate allows."""
        trial = self._unproved.get((nonce, wide_key))
        if trial is None:
            trial = _Unproved()
            if self._derivations.available(now) < 1:
                return trial
            self._unproved[nonce, wide_key] = trial
            if len(self._unproved) > _UNPROVED_KEPT:
                self._unproved.popitem(last=False)
        wanted = slot_of(nonce)
        for passphrase in dict.fromkeys((self._slots[wanted], self._slots[wanted ^ 1])):
            if passphrase is None or any(held == passphrase for held, _ in trial.keys):
                continue
            if not self._derivations.take(1, now):
                break
            trial.keys.append((passphrase, PskKey(passphrase, nonce, wide=wide_key)))
        return trial

    def _prove(self, run: GreRun, passphrase: bytes, key: PskKey) -> _Proved:
        assert run.nonce is not None
        identity = run.nonce, run.wide_key
        self._unproved.pop(identity, None)
        proved = self._proved[identity] = _Proved(key)
        if len(self._proved) > _PROVED_KEPT:
            self._proved.popitem(last=False)
        if self._slots[self._slot_in_use] != passphrase:
            self._slot_in_use ^= 1
        self._told.clear()
        self._news.append(PassphraseProved(run.nonce))
        return proved

    def _learn_ports(self, run: GreRun, accepted: list[Buffer]) -> None:
        """Ports that a proved packet came to are evidence for the next key."""
        if run.protocol_type != REDUCED or not accepted or len(accepted[0]) < PORTS_SIZE:
            return
        destination = VirtualPorts.decode(accepted[0]).destination
        if len(self._ports) < _PORTS_REMEMBERED:
            self._ports |= {destination, destination ^ 1}

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    def _tell(self, news: PskNews) -> None:
        """Say it once, until something changes."""
        if type(news) not in self._told:
            self._told.add(type(news))
            self._news.append(news)


def _is_plain_media(protocol_type: int, plains: list[bytes]) -> bool:
    """Whether all of a run would pass for media without a closer look."""
    if protocol_type == VSF:
        return all(plain[:4] == _VSF_DATA for plain in plains)
    if protocol_type == REDUCED:
        return all(len(plain) >= _PLAIN_MEDIA and plain[4] & 0xC0 == 0x80 for plain in plains)
    return False
