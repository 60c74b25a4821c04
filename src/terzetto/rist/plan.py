"""From a URL to everything that a session needs: understood, checked and looked up, but not yet opened."""

from __future__ import annotations

import attrs

from terzetto.driver.clock import current_micros
from terzetto.errors import InvalidOption, InvalidUrl, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network, current_network
from terzetto.net.ports import open_port_pair
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.options import RistKnobs, RistOptions
from terzetto.rist.url import options_from_url
from terzetto.url import EndpointUrl, parse_url

__all__ = ["Plan", "prepare"]


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that is decided before a socket is opened."""

    url: EndpointUrl
    options: RistOptions
    network: Network
    local: Address
    family: int
    remote: Address | None
    """Whom to call, None to listen."""
    wall_clock_offset: Micros

    async def open_endpoints(self) -> list[DatagramEndpoint]:
        """The endpoints of the profile, media first."""
        options = self.options
        return list(
            await open_port_pair(
                self.network,
                EndpointOptions(
                    local=self.local,
                    family=self.family,
                    interface=options.interface,
                    ttl=options.ttl,
                    tos=options.tos,
                    sources=(options.source,) if options.source else (),
                ),
            )
        )

    def make_translator(self) -> Translator:
        """The dialect of the profile."""
        return SimpleTranslator(payload_type=self.options.rtp_ptype, nack_type=self.options.nack_type)

    def make_sender(self) -> Sender:
        """A sending core that begins now."""
        chosen = self.options.flow_id
        flow_id = int.from_bytes(self.network.entropy(4), "big") & ~1 if chosen is None else chosen
        return Sender(
            self.make_translator(),
            Settings.of(self.options),
            flow_id=flow_id,
            now=current_micros(),
            wall_clock_offset=self.wall_clock_offset,
            entropy=self.network.entropy,
            remote=self.remote,
        )

    def make_receiver(self) -> Receiver:
        """A receiving core that begins now."""
        return Receiver(
            self.make_translator(),
            Settings.of(self.options),
            now=current_micros(),
            wall_clock_offset=self.wall_clock_offset,
            entropy=self.network.entropy,
            remote=self.remote,
        )


async def prepare(url: str, options: RistOptions | None, knobs: RistKnobs, *, sends: bool = False) -> Plan:
    """Read the URL, check the options, look up the host; *sends* says which way the media is to go."""
    parsed = parse_url(url)
    if parsed.scheme != "rist":
        raise InvalidUrl(
            f"{parsed} is no rist:// URL", hint="write rist://host:port to call, rist://@:port to listen"
        )
    chosen = options_from_url(parsed, options, knobs)
    if chosen.profile != "simple":
        raise UnsupportedOperation(
            f"the {chosen.profile} profile is not there yet", hint="use profile=simple"
        )
    port = parsed.port or 0
    if port % 2:
        raise InvalidUrl(
            f"port {port} is odd",
            hint=f"RIST Simple sends media to an even port and reports to the one above: use {port - 1}",
        )
    if chosen.one_way and parsed.listen is sends:
        raise InvalidOption(
            "one_way is set, but then a sender must call and a receiver must listen: nobody answers a call",
            hint=f"write rist://host:port for the sender and rist://@:port for the receiver, not {parsed}",
        )
    network = current_network()
    remote: Address | None = None
    if parsed.listen:
        local = Address(parsed.host, port)
        if parsed.host:
            local = (await network.resolve(parsed.host, port))[0]
        family = 6 if local.is_ipv6 else 4
    else:
        remote = (await network.resolve(parsed.host, port))[0]
        local = Address("", chosen.local_port)
        family = 6 if remote.is_ipv6 else 4
    return Plan(
        url=parsed,
        options=chosen,
        network=network,
        local=local,
        family=family,
        remote=remote,
        wall_clock_offset=network.wall_clock_offset(),
    )
