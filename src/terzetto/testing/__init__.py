"""What terzetto is tested with, for whoever tests with terzetto.

``simulated_network``         pytest fixture: hosts and links of any quality, from one seed (``plugin``)
``SimulatedNetwork``          the same without pytest; ``use_network`` puts an application on one of its hosts
``LinkConditions``            what a link does, with ``IndependentLoss``, ``BurstLoss``, ``ScriptedLoss``
``deterministic_scheduling``  let trio order tasks by a seed as well (``scheduling``)
``check_endpoint``            does my datagram endpoint keep its promises? (``checks``)
``check_core``                does my protocol core speak the grammar? (``checks``)
``check_delivery``            nothing twice, late, out of order, or lost that could be saved (``invariants``)

    async def test_my_product_survives_loss(simulated_network, autojump_clock):
        camera, studio = simulated_network.add_host("camera"), simulated_network.add_host("studio")
        simulated_network.connect(camera, studio, LinkConditions(delay=0.040, loss=0.05))
        with use_network(studio):
            ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from terzetto.net.network import use_network
    from terzetto.net.simulated.endpoint import SimulatedEndpoint
    from terzetto.net.simulated.host import SimulatedHost
    from terzetto.net.simulated.link import Link
    from terzetto.net.simulated.network import SimulatedNetwork
    from terzetto.primitives.impairment import BurstLoss, IndependentLoss, LinkConditions, ScriptedLoss
    from terzetto.testing.core_checks import check_core
    from terzetto.testing.endpoint_checks import check_endpoint
    from terzetto.testing.invariants import Delivered, DeliveryReport, Sent, check_delivery, examine_delivery
    from terzetto.testing.promises import PromiseBroken
    from terzetto.testing.scheduling import deterministic_scheduling

__all__ = [
    "BurstLoss",
    "Delivered",
    "DeliveryReport",
    "IndependentLoss",
    "Link",
    "LinkConditions",
    "PromiseBroken",
    "ScriptedLoss",
    "Sent",
    "SimulatedEndpoint",
    "SimulatedHost",
    "SimulatedNetwork",
    "check_core",
    "check_delivery",
    "check_endpoint",
    "deterministic_scheduling",
    "examine_delivery",
    "use_network",
]

# Looked up on first use: pytest imports this package, by way of our plugin, in every project of whoever has
# terzetto installed, and most of their tests have no use for a network.
_HOMES: Final = {
    "BurstLoss": "terzetto.primitives.impairment",
    "IndependentLoss": "terzetto.primitives.impairment",
    "Link": "terzetto.net.simulated.link",
    "LinkConditions": "terzetto.primitives.impairment",
    "ScriptedLoss": "terzetto.primitives.impairment",
    "SimulatedEndpoint": "terzetto.net.simulated.endpoint",
    "SimulatedHost": "terzetto.net.simulated.host",
    "SimulatedNetwork": "terzetto.net.simulated.network",
    "Delivered": "terzetto.testing.invariants",
    "DeliveryReport": "terzetto.testing.invariants",
    "PromiseBroken": "terzetto.testing.promises",
    "Sent": "terzetto.testing.invariants",
    "check_core": "terzetto.testing.core_checks",
    "check_delivery": "terzetto.testing.invariants",
    "check_endpoint": "terzetto.testing.endpoint_checks",
    "examine_delivery": "terzetto.testing.invariants",
    "deterministic_scheduling": "terzetto.testing.scheduling",
    "use_network": "terzetto.net.network",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
