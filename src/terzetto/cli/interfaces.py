"""``terzetto interfaces``: what ``miface=`` may name."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import attrs
from cyclopts import Parameter

from terzetto.net.interfaces import Interface, list_interfaces

__all__ = ["interfaces"]


def interfaces(
    *, json: Annotated[bool, Parameter(help="Print one JSON object a line.", negative="")] = False
) -> int:
    """List this machine's network interfaces, and what to write for miface= in a URL.

    miface= takes the name or one of the addresses. For multicast the interface must be up and capable of it.
    """
    found = list_interfaces()
    if json:
        for interface in found:
            value = {**attrs.asdict(interface), "miface": suggestion(interface)}
            print(json_module.dumps(value))
        return 0
    width = max((len(interface.name) for interface in found), default=0)
    for interface in found:
        print(f"{interface.name:{width}}  {_abilities(interface)}")
        for address in interface.addresses:
            print(f"{'':{width}}  {address}")
        advice = suggestion(interface)
        if advice is not None:
            print(f"{'':{width}}  for multicast: ?miface={advice}")
    return 0


def suggestion(interface: Interface) -> str | None:
    """What to write for ``miface=``; None where it would not carry multicast to anybody."""
    if interface.is_up is False or interface.has_multicast is False:
        return None
    return interface.name


def _abilities(interface: Interface) -> str:
    words = []
    if interface.is_up is not None:
        words.append("up" if interface.is_up else "down")
    if interface.is_loopback:
        words.append("loopback")
    if interface.has_multicast is not None:
        words.append("multicast" if interface.has_multicast else "no multicast")
    return ", ".join(words)
