"""Which module knows a URL's scheme; each is imported when a URL asks for it."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol, cast

from terzetto.errors import UnsupportedOperation
from terzetto.gateway.contract import InputSettings, SinkPlan, SourcePlan
from terzetto.url import EndpointUrl, parse_url

__all__ = ["plan_sink", "plan_source"]


class SchemeModule(Protocol):
    """What the module of a scheme offers. Both calls refuse what is wrong with the URL, and open nothing."""

    def plan_source(self, url: EndpointUrl, settings: InputSettings) -> SourcePlan:
        """Understand *url* as an input."""

    def plan_sink(self, url: EndpointUrl) -> SinkPlan:
        """Understand *url* as an output."""


_MODULES: Final = {
    "file": "terzetto.gateway.file",
    "rist": "terzetto.gateway.rist",
    "rtp": "terzetto.gateway.rtp",
    "srt": "terzetto.gateway.srt",
    "stdio": "terzetto.gateway.stdio",
    "udp": "terzetto.gateway.udp",
}


def plan_source(url: str | EndpointUrl, settings: InputSettings | None = None) -> SourcePlan:
    """Understand *url* as an input; raises `terzetto.errors.CallerError` for what is wrong with it."""
    parsed = parse_url(url) if isinstance(url, str) else url
    return _module(parsed).plan_source(parsed, settings or InputSettings())


def plan_sink(url: str | EndpointUrl) -> SinkPlan:
    """Understand *url* as an output; raises `terzetto.errors.CallerError` for what is wrong with it."""
    parsed = parse_url(url) if isinstance(url, str) else url
    return _module(parsed).plan_sink(parsed)


def _module(url: EndpointUrl) -> SchemeModule:
    name = _MODULES.get(url.scheme)
    if name is None:
        known = ", ".join("-" if scheme == "stdio" else scheme for scheme in _MODULES)
        raise UnsupportedOperation(f"relaying {url.scheme} is not there yet", hint=f"there are {known}")
    return cast("SchemeModule", import_module(name))
