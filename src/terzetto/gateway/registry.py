"""Which module knows a URL's scheme; each is imported when a URL asks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.gateway.contract import InputSettings, SinkPlan, SourcePlan
from terzetto.url import EndpointUrl, parse_url

__all__ = ["parse_paths", "plan_sink", "plan_source"]


class SchemeModule(Protocol):
    """What the module of a scheme offers. Both calls refuse what is wrong with the URL, and open nothing."""

    def plan_source(self, url: EndpointUrl, settings: InputSettings) -> SourcePlan:
        """Understand *url* as an input."""

    def plan_sink(self, url: EndpointUrl) -> SinkPlan:
        """Understand *url* as an output."""


class BondingModule(Protocol):
    """What the module of a scheme offers besides, where one stream can take several paths."""

    def plan_bonded_source(self, urls: Sequence[EndpointUrl], settings: InputSettings) -> SourcePlan:
        """Understand *urls* as the paths of one input."""

    def plan_bonded_sink(self, urls: Sequence[EndpointUrl]) -> SinkPlan:
        """Understand *urls* as the paths of one output."""


_BETWEEN_URLS: Final = re.compile(r",(?=[A-Za-z]+://)")

_MODULES: Final = {
    "file": "terzetto.gateway.file",
    "rist": "terzetto.gateway.rist",
    "rtp": "terzetto.gateway.rtp",
    "rtsp": "terzetto.gateway.rtsp",
    "rtsps": "terzetto.gateway.rtsp",
    "srt": "terzetto.gateway.srt",
    "stdio": "terzetto.gateway.stdio",
    "udp": "terzetto.gateway.udp",
}


def plan_source(url: str | EndpointUrl, settings: InputSettings | None = None) -> SourcePlan:
    """Understand *url* as an input; raises `terzetto.errors.CallerError` for what is wrong with it."""
    urls = parse_paths(url)
    if len(urls) == 1:
        return _module(urls[0]).plan_source(urls[0], settings or InputSettings())
    return _bonding_module(urls).plan_bonded_source(urls, settings or InputSettings())


def plan_sink(url: str | EndpointUrl) -> SinkPlan:
    """Understand *url* as an output; raises `terzetto.errors.CallerError` for what is wrong with it."""
    urls = parse_paths(url)
    if len(urls) == 1:
        return _module(urls[0]).plan_sink(urls[0])
    return _bonding_module(urls).plan_bonded_sink(urls)


def parse_paths(url: str | EndpointUrl) -> list[EndpointUrl]:
    """One URL, or several with commas between that are the paths of one stream.

    A comma may also stand inside a query, so only one that a scheme follows parts two URLs.
    """
    if isinstance(url, EndpointUrl):
        return [url]
    return [parse_url(part) for part in _BETWEEN_URLS.split(url)]


def _bonding_module(urls: Sequence[EndpointUrl]) -> BondingModule:
    schemes = {url.scheme for url in urls}
    if len(schemes) > 1:
        raise InvalidUrl(
            f"{' and '.join(sorted(schemes))} cannot be paths of one stream",
            hint="use one protocol for all of them",
        )
    module = _module(urls[0])
    if not hasattr(module, "plan_bonded_source"):
        raise UnsupportedOperation(f"a stream over several {urls[0].scheme} paths is not there yet")
    return cast("BondingModule", module)


def _module(url: EndpointUrl) -> SchemeModule:
    name = _MODULES.get(url.scheme)
    if name is None:
        known = ", ".join("-" if scheme == "stdio" else scheme for scheme in _MODULES)
        raise UnsupportedOperation(f"relaying {url.scheme} is not there yet", hint=f"there are {known}")
    return cast("SchemeModule", import_module(name))
