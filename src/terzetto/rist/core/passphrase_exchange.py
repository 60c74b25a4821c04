"""After a login either side may ask for, or announce, the passphrase of what the other will receive.

::

    asker               holder
    request 0x10   -->
                   <--  response 0x10: the session key, or a passphrase enciphered with it
    success        -->

A holder may send the response unasked, before it changes its passphrase, and repeats it until the success comes.
Identifiers keep questions and announcements of both sides apart: bit 6 marks a question, bit 7 the authenticatee's
questions and the authenticator's announcements. The counter block of the enciphered passphrase is the identifier in
its last byte, as libRIST has it (TR-06-2's text says the first).
"""

from __future__ import annotations

from typing import Final

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.errors import MalformedPacket
from terzetto.primitives.time import MICROS_PER_MILLI, Micros
from terzetto.rist.core.login_news import LoginNews, PassphraseDelivered, ReceivePassphrase
from terzetto.rist.core.psk_keys import LONGEST_PASSPHRASE
from terzetto.rist.wire.eap_srp import PassphraseAnswer, SrpSubtype, encode_srp
from terzetto.rist.wire.eapol import EapCode, EapolFrame, EapolType, EapPacket, EapType

__all__ = ["PassphraseExchange"]

_RETRY: Final[Micros] = 500 * MICROS_PER_MILLI
_TRIES: Final = 5
_QUESTION: Final = 0x40
_ROLE: Final = 0x80
_COUNTER_MASK: Final = 0x3F


class _Outstanding:
    """Something that is repeated until it is answered."""

    __slots__ = ("frame", "identifier", "next_at", "tries")

    def __init__(self, identifier: int, frame: bytes, now: Micros) -> None:
        self.identifier = identifier
        self.frame = frame
        self.tries = 1
        self.next_at = now + _RETRY


class PassphraseExchange:
    """One side of the exchange; it sleeps until `begin` gives it a session key."""

    def __init__(self, *, is_authenticator: bool, use_session_key: bool, passphrase: bytes | None) -> None:
        self._is_authenticator = is_authenticator
        self._use_session_key = use_session_key
        self._passphrase = passphrase
        self._session_key = b""
        self._version = 0
        self._questions = 0
        self._announcements = 0
        self._question: _Outstanding | None = None
        self._announcement: _Outstanding | None = None
        self._last_answer: tuple[int, bytes] | None = None
        self._received_any = False
        self.frames: list[bytes] = []
        self.news: list[LoginNews] = []

    def begin(self, session_key: bytes, *, version: int) -> None:
        """A login succeeded; what was outstanding under the key before is void."""
        self._session_key = session_key
        self._version = version
        self._question = None
        self._last_answer = None

    def receive(self, passphrase: bytes) -> None:
        """Tell the user of a passphrase that the peer will use."""
        self.news.append(ReceivePassphrase(passphrase, first=not self._received_any))
        self._received_any = True

    def ask(self, *, now: Micros) -> None:
        """Ask for the passphrase of what the peer sends."""
        self._questions += 1
        identifier = self._questions & _COUNTER_MASK | _QUESTION | (0 if self._is_authenticator else _ROLE)
        frame = self._frame(EapCode.REQUEST, identifier, EapType.SRP, encode_srp(SrpSubtype.PASSPHRASE))
        self._question = _Outstanding(identifier, frame, now)
        self.frames.append(frame)

    def announce(self, passphrase: bytes, *, now: Micros) -> None:
        """Tell the peer what we will encipher with; `PassphraseDelivered` says when it knows."""
        self._passphrase = passphrase
        self._use_session_key = False
        self._announcements += 1
        identifier = self._announcements & _COUNTER_MASK | (_ROLE if self._is_authenticator else 0)
        frame = self._answer(identifier) if self._session_key else None
        if frame is not None:
            self._announcement = _Outstanding(identifier, frame, now)
            self.frames.append(frame)

    # -- what the peer says --------------------------------------------------------------------------------------

    def handle_question(self, identifier: int) -> None:
        """The peer asks; without a passphrase there is nothing to say."""
        frame = self._answer(identifier) if self._session_key else None
        if frame is not None:
            self.frames.append(frame)

    def handle_answer(self, identifier: int, body: bytes) -> None:
        """The peer tells, asked or not; MalformedPacket where it makes no sense."""
        if not self._session_key:
            raise MalformedPacket("passphrase before login")
        answer = PassphraseAnswer.decode(body)
        if answer.use_session_key:
            passphrase = self._session_key
        elif len(answer.ciphertext) > LONGEST_PASSPHRASE:
            raise MalformedPacket("passphrase is too long")
        else:
            passphrase = self._cipher(answer.wide_key).apply(_counter(identifier), answer.ciphertext)
        if self._question is not None and self._question.identifier == identifier:
            self._question = None
        if self._last_answer != (identifier, passphrase):
            self._last_answer = identifier, passphrase
            self.receive(passphrase)
        self.frames.append(self._frame(EapCode.SUCCESS, identifier))

    def handle_success(self, identifier: int) -> None:
        """The peer has what we announced."""
        if self._announcement is not None and self._announcement.identifier == identifier:
            self._announcement = None
            self.news.append(PassphraseDelivered(in_time=True))

    # -- time ----------------------------------------------------------------------------------------------------

    def next_timeout(self) -> Micros | None:
        """When to repeat."""
        return min((each.next_at for each in (self._question, self._announcement) if each), default=None)

    def handle_timeout(self, *, now: Micros) -> None:
        """Repeat what has not been answered, or give it up."""
        if self._question is not None and self._is_over(self._question, now):
            self._question = None
        if self._announcement is not None and self._is_over(self._announcement, now):
            self._announcement = None
            self.news.append(PassphraseDelivered(in_time=False))

    def _is_over(self, outstanding: _Outstanding, now: Micros) -> bool:
        if now < outstanding.next_at:
            return False
        if outstanding.tries >= _TRIES:
            return True
        outstanding.tries += 1
        outstanding.next_at = now + _RETRY
        self.frames.append(outstanding.frame)
        return False

    # -- frames --------------------------------------------------------------------------------------------------

    def poll_frames(self) -> list[bytes]:
        """What to send."""
        frames, self.frames = self.frames, []
        return frames

    def _answer(self, identifier: int) -> bytes | None:
        if self._use_session_key:
            answer = PassphraseAnswer(use_session_key=True)
        elif self._passphrase is not None:
            answer = PassphraseAnswer(self._cipher(True).apply(_counter(identifier), self._passphrase))
        else:
            return None
        data = encode_srp(SrpSubtype.PASSPHRASE, answer.encode())
        return self._frame(EapCode.RESPONSE, identifier, EapType.SRP, data)

    def _cipher(self, wide: bool) -> AesCtr:
        return AesCtr(self._session_key if wide else self._session_key[:16])

    def _frame(self, code: EapCode, identifier: int, kind: EapType | None = None, data: bytes = b"") -> bytes:
        return EapolFrame(self._version, EapolType.EAP, EapPacket(code, identifier, kind, data)).encode()


def _counter(identifier: int) -> bytes:
    return bytes(15) + bytes((identifier,))
