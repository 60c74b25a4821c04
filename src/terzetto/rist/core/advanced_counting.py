"""What the Main profile says, in the counting of the Advanced one, and the other way round."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.advanced_timeline import Framing, ReceiveTimeline, SendTimeline, widen
from terzetto.rist.core.vocabulary import Feedback, MediaArrival

__all__ = ["Counting"]

_RATE: Final = MICROS_PER_SECOND
_ADVANCED_FRAMINGS: Final = (Framing.ADVANCED, Framing.ARRIVAL)


class Counting:
    """Sequences of 32 bits and microseconds, whichever form they come or go in."""

    def __init__(self, main_rate: int) -> None:
        self.sending = SendTimeline(main_rate)
        self.receiving: ReceiveTimeline | None = None
        self.newest_sent = -1

    @property
    def hears_advanced(self) -> bool:
        """Whether the newest media came in the Advanced form."""
        return self.receiving is not None and self.receiving.framing in _ADVANCED_FRAMINGS

    def of(self, flow_id: int) -> ReceiveTimeline:
        """That flow's timeline; there is one flow at a time."""
        timeline = self.receiving
        if timeline is None or timeline.flow_id != flow_id:
            timeline = self.receiving = ReceiveTimeline(flow_id)
        return timeline

    def of_main(self, arrival: MediaArrival, now: Micros) -> MediaArrival:
        """Media that came in the Main form."""
        timeline = self.of(arrival.flow_id)
        packets = []
        for sequence, timestamp, payload, is_retransmission in arrival.packets:
            micros = timeline.micros_of(timestamp, arrival.clock_rate)
            time = timeline.time(Framing.MAIN, micros, now, is_late=is_retransmission)
            if not is_retransmission:
                timeline.heard(Framing.MAIN, time, now)
            packets.append((timeline.of_main(sequence), time, payload, is_retransmission))
        return arrival._replace(packets=packets, clock_rate=_RATE, sequence_bits=32)

    def said_in_main(self, said: Feedback, now: Micros) -> Feedback:
        """What was said in the Main form's numbers."""
        if isinstance(said, say.RepeatRequest):
            near = max(self.newest_sent, 0)
            return said._replace(sequences=[widen(each, near) for each in said.sequences], sequence_bits=32)
        if isinstance(said, say.SourceReport) and self.receiving is not None:
            return said._replace(timestamp=self.receiving.time_of_report(said.timestamp, now))
        return said

    def for_main(self, thing: Feedback, *, is_active: bool) -> Feedback:
        """What is to be said in the Main form's numbers; reports go by the form that media has."""
        if isinstance(thing, say.RepeatRequest) and self.receiving is not None:
            return thing._replace(sequences=self.receiving.on_the_wire(thing.sequences), sequence_bits=16)
        if isinstance(thing, say.SourceReport) and not is_active:
            return thing._replace(timestamp=self.sending.ticks(thing.timestamp))
        return thing
