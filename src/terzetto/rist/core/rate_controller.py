"""What rate a sender's encoder should have, from what its receiver reports (TR-06-4 part 1, section 6).

Additive increase, multiplicative decrease, as with TCP: a link is probed in small steps while it holds, and left
alone quickly when it does not. The worse the loss, the deeper the cut::

    nothing arrived, nothing was missed     hold: a silence says nothing of the link's rate
    nothing given up, loss within target    + 1 % of the ceiling
    else                                    x (1 - min(8 x severity, 0.9))

where severity is the worse of the share that was given up and of the loss beyond the target. What was sent before a
cut is still under way after it, so the next report is passed over: else one overshoot would be paid for twice.
"""

from __future__ import annotations

from typing import Final

from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.wire.link_quality import LinkQuality

__all__ = ["RateController"]

_STEPS_TO_THE_CEILING: Final = 100
_CUT_PER_SEVERITY: Final = 8
_DEEPEST_CUT: Final = 0.9

# Sequence numbers are compared within half their circle; a receiver that begins anew is not below but far away.
_MASK: Final = 0xFFFF_FFFF
_HALF: Final = 1 << 31

# So many numbers back a report is an old one that was overtaken; further back its receiver counts anew.
_OVERTAKEN: Final = 64


class RateController:
    """Turns link quality messages into a rate; knows neither clock nor network."""

    def __init__(self, adaptation: RistAdaptation) -> None:
        self._adaptation = adaptation
        self._step = max(adaptation.ceiling // _STEPS_TO_THE_CEILING, 1)
        self._settling = 0
        self.rate = adaptation.begin
        """Bits a second, as advised now."""
        self.last: LinkQuality | None = None
        """The newest report."""
        self.ignored = 0
        """Reports that came twice, or after a newer one."""

    def forget(self) -> None:
        """The receiver is gone; whoever comes next counts its reports from elsewhere. The advice stays."""
        self.last = None
        self._settling = 0

    def handle(self, report: LinkQuality) -> bool:
        """Take in a report; whether the advice has changed."""
        if self.last is not None:
            ahead = (report.sequence - self.last.sequence) & _MASK
            if ahead == 0 or (ahead > _HALF and _MASK + 1 - ahead < _OVERTAKEN):
                self.ignored += 1
                return False
        self.last = report
        was = self.rate
        self.rate = min(max(self._advise(report), self._adaptation.floor), self._adaptation.ceiling)
        return self.rate != was

    def _advise(self, report: LinkQuality) -> int:
        expected = report.source_received + report.original_lost
        if not expected and not report.unrecovered:
            return self.rate
        if self._settling:
            self._settling -= 1
            return self.rate
        beyond = report.original_lost / max(expected, 1) - self._adaptation.target_loss
        if not report.unrecovered and beyond <= 0:
            return self.rate + self._step
        given_up = report.unrecovered / max(expected, report.unrecovered)
        self._settling = self._adaptation.settle
        return int(self.rate * (1 - min(_CUT_PER_SEVERITY * max(given_up, beyond), _DEEPEST_CUT)))
