"""The same endpoints on a seeded network of our own.

``network``    hosts, links and names; one seed decides everything
``host``       what an application runs on: a `Network` with addresses
``endpoint``   a datagram socket of a host
``link``       one direction between two addresses or hosts
``port``       what is on its way to one UDP port, and who listens there
``routing``    from sender to receiver: sources, address translation, groups
``nat``        an address translator that may rebind
``trace``      what happened to every packet, and its hash
``capture``    the trace as a pcapng file

There is no background task: a datagram is put on its receiver's list with the moment it arrives, and whoever
looks at that list first settles what is due. So a network needs no nursery, runs on the real clock as well as on
trio's autojump clock, and does the same thing every time.
"""

from terzetto.net.simulated.endpoint import SimulatedEndpoint
from terzetto.net.simulated.host import SimulatedHost
from terzetto.net.simulated.link import Link, LinkStatistics
from terzetto.net.simulated.network import SimulatedNetwork
from terzetto.primitives.impairment import BurstLoss, IndependentLoss, LinkConditions, ScriptedLoss

__all__ = [
    "BurstLoss",
    "IndependentLoss",
    "Link",
    "LinkConditions",
    "LinkStatistics",
    "ScriptedLoss",
    "SimulatedEndpoint",
    "SimulatedHost",
    "SimulatedNetwork",
]
