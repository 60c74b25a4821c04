"""What senders and receivers of the Main profile can do beside the media: out-of-band data, and another secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import PacketQueue
from terzetto.errors import TerzettoError, UnsupportedOperation
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.rist.core.advanced import AdvancedTranslator
from terzetto.rist.core.advanced_attributes import check_attributes
from terzetto.rist.core.auto import AutoTranslator
from terzetto.rist.core.main import MainTranslator
from terzetto.rist.core.profile import Translator
from terzetto.rist.events import AuthorizationWanted, OutOfBandReceived

__all__ = ["OUT_OF_BAND_BACKLOG", "Authorize", "TunnelControls", "next_of"]

Authorize: TypeAlias = Callable[[Address, str], Awaitable[bool]]
"""Decides over a peer by its address and the name it proved to have (empty where it needed none).

Raising `terzetto.errors.AuthenticationFailed` refuses it with a reason.
"""

# Nobody repeats what was missed here, but nobody needs to hoard it either.
OUT_OF_BAND_BACKLOG: Final = 256
"""How much that came beside the stream may wait for a reader."""

# Each costs a task of the application's; a session has one peer, and few others that are being looked at.
_QUESTIONS_AT_ONCE: Final = 8


class TunnelControls:
    """The controls of one session; in the Simple profile each of them raises UnsupportedOperation."""

    def __init__(
        self, translator: Translator, *, drain: Callable[[], None], authorize: Authorize | None
    ) -> None:
        self._translator = translator
        self._drain = drain
        self._authorize = authorize
        self._questions, self._to_ask = trio.open_memory_channel[AuthorizationWanted](_QUESTIONS_AT_ONCE)
        self._out_of_band = PacketQueue[OutOfBandReceived](OUT_OF_BAND_BACKLOG)
        self.on_out_of_band: Callable[[OutOfBandReceived], None] | None = None
        """Takes what comes beside the stream, where several sessions have one reader."""

    def send_oob(self, data: Buffer, ether_type: int) -> bool:
        """Send *data* beside the stream; whether there was anybody to send it to."""
        sent = self._tunnel("out-of-band data").send_out_of_band(data, ether_type)
        self._drain()
        return sent

    async def receive_oob(self) -> OutOfBandReceived:
        """The next that came beside the stream."""
        self.check_oob()
        return await next_of(self._out_of_band)

    def check_oob(self) -> None:
        """Raise UnsupportedOperation where the profile has nothing beside the stream."""
        self._tunnel("out-of-band data")

    def change_passphrase(self, secret: str) -> None:
        """Use another secret."""
        self._tunnel("a secret").change_passphrase(secret.encode(), now=current_micros())
        self._drain()

    def send_flow_attribute(self, text: str) -> None:
        """Describe the flow in JSON from now on; with nothing, no more."""
        translator = self._translator
        if isinstance(translator, AutoTranslator):
            translator = translator.tunnel
        if not isinstance(translator, AdvancedTranslator):
            raise UnsupportedOperation(
                "only the Advanced profile has a place for flow attributes",
                hint="use profile=advanced at both ends",
            )
        translator.send_flow_attributes(check_attributes(text), now=current_micros())
        self._drain()

    def hear(self, event: object) -> bool:
        """Whether *event* was for us."""
        if type(event) is OutOfBandReceived:
            if self.on_out_of_band is not None:
                self.on_out_of_band(event)
            else:
                self._out_of_band.put([event])
            return True
        if type(event) is AuthorizationWanted:
            try:
                self._questions.send_nowait(event)
            except trio.WouldBlock:
                self._answer(event, accepted=False, reason="too many questions at once")
            return True
        return False

    async def answer_questions(self) -> None:
        """Ask the application about each peer, one after the other, until cancelled."""
        async for question in self._to_ask:
            accepted, reason = True, ""
            if self._authorize is not None:
                try:
                    accepted = await self._authorize(question.peer, question.username)
                except TerzettoError as exc:
                    accepted, reason = False, str(exc)
            self._answer(question, accepted=accepted, reason=reason)

    def close(self) -> None:
        """Wake whoever waits."""
        self._out_of_band.close()

    def _answer(self, question: AuthorizationWanted, *, accepted: bool, reason: str) -> None:
        translator = self._tunnel("authorization")
        translator.authorize(question.peer, accepted, now=current_micros(), reason=reason)
        self._drain()

    def _tunnel(self, what: str) -> MainTranslator:
        translator = self._translator
        if isinstance(translator, AutoTranslator):
            # Questions are about peers that are not in charge yet.
            translator = translator.tunnel if what == "authorization" else translator.chosen
        if not isinstance(translator, MainTranslator):
            raise UnsupportedOperation(
                f"the Simple profile has no place for {what}", hint="use profile=main at both ends"
            )
        return translator


async def next_of(queue: PacketQueue[OutOfBandReceived]) -> OutOfBandReceived:
    """The next that *queue* has; `trio.EndOfChannel` after the last."""
    packets = await queue.get()
    if not packets:
        raise trio.EndOfChannel
    queue.put_back(packets[1:])
    return packets[0]
