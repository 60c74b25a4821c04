"""What bad networks do to datagrams, as pure machines; the simulated network and the UDP proxy both use them.

``loss``        which datagrams are lost: independently, in bursts, by script
``conditions``  everything a link does to what passes, as one frozen description
``machine``     the state of one link: datagram in, arrivals or a named drop out
``delay_line``  a link with everything that travels on it, and a tally of fates
``schedule``    conditions that change with time
``parse``       "5%", "40ms", "2Mbit" as people type them
"""

from terzetto.primitives.impairment.conditions import PERFECT, LinkConditions
from terzetto.primitives.impairment.delay_line import DelayLine, Fates
from terzetto.primitives.impairment.loss import (
    BurstLoss,
    IndependentLoss,
    LossModel,
    RandomSource,
    ScriptedLoss,
)
from terzetto.primitives.impairment.machine import Arrival, Drop, LinkMachine
from terzetto.primitives.impairment.schedule import Schedule

__all__ = [
    "PERFECT",
    "Arrival",
    "BurstLoss",
    "DelayLine",
    "Drop",
    "Fates",
    "IndependentLoss",
    "LinkConditions",
    "LinkMachine",
    "LossModel",
    "RandomSource",
    "Schedule",
    "ScriptedLoss",
]
