"""From a URL to everything that a session needs: understood, checked and looked up, but not yet opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from terzetto.driver.clock import current_micros
from terzetto.errors import InvalidOption, InvalidUrl
from terzetto.net.addresses import is_multicast
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network, current_network
from terzetto.net.ports import open_port_group, open_port_pair
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros, micros
from terzetto.rist.core.advanced import AdvancedTranslator
from terzetto.rist.core.advanced_settings import ADVANCED_CAPABILITIES, AdvancedSettings
from terzetto.rist.core.auto import AutoTranslator
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.main import MainTranslator
from terzetto.rist.core.multicast_sender import MulticastSender
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.profile import FEC_OFFSETS, Translator
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.core.tunnel_settings import Credentials, TunnelSettings
from terzetto.rist.options import Cipher, RistKnobs, RistOptions
from terzetto.rist.secured import dtls_overhead, secure
from terzetto.rist.url import options_from_url
from terzetto.rist.users import credentials_of
from terzetto.rist.wire.advanced_header import PskMode
from terzetto.url import EndpointUrl, parse_url

__all__ = ["Plan", "prepare"]

_MODES: Final[Mapping[Cipher, PskMode]] = {
    "ctr": PskMode.CTR,
    "hmac": PskMode.HMAC,
    "ctr-hmac": PskMode.CTR_HMAC,
    "gcm": PskMode.GCM,
    "chacha20": PskMode.CHACHA20,
}


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
    credentials: Credentials | None = None
    """How to log in, or to let others in; shared by all who call."""
    authorize: bool = False
    """Whether the application is asked about every peer."""
    sends: bool = False
    """Whether media leaves here."""

    async def open_endpoints(self) -> list[DatagramEndpoint]:
        """The endpoints of the profile, media first."""
        options = self.options
        joins = is_multicast(self.local.host)
        wanted = EndpointOptions(
            local=Address("", self.local.port) if joins else self.local,
            groups=(self.local.host,) if joins else (),
            family=self.family,
            interface=options.interface,
            ttl=options.ttl,
            tos=options.tos,
            sources=(options.source,) if options.source else (),
            multicast_loop=options.multicast_loop,
        )
        if options.parities_on_ports and options.profile in ("simple", "auto"):
            return await open_port_group(self.network, wanted, beyond=FEC_OFFSETS.values())
        if options.parities_on_ports and not self.sends:
            return await open_port_group(self.network, wanted, beyond=FEC_OFFSETS.values(), paired=False)
        if options.profile in ("simple", "auto"):
            return list(await open_port_pair(self.network, wanted))
        endpoint = await self.network.open_datagram_endpoint(wanted)
        if options.dtls is None:
            return [endpoint]
        host = self.url.host if self.remote is not None else None
        return [
            secure(endpoint, options.dtls, mtu=options.mtu, family=self.family, remote=self.remote, host=host)
        ]

    def make_translator(self, *, is_media_sender: bool) -> Translator:
        """The dialect of the profile."""
        options = self.options
        simple = SimpleTranslator(
            payload_type=options.rtp_ptype,
            nack_type=options.nack_type,
            extend_sequence=options.sequence_extension,
        )
        if options.profile == "simple":
            return simple
        if options.profile != "main":
            advanced = AdvancedTranslator(
                self.advanced_settings(is_media_sender=is_media_sender),
                payload_type=options.rtp_ptype,
                nack_type=options.nack_type,
                entropy=self.network.entropy,
                remote=self.remote,
            )
            if options.profile == "advanced":
                return advanced
            guarded = options.secret is not None or self.credentials is not None or self.authorize
            return AutoTranslator(simple, advanced, refuses_simple=guarded)
        return MainTranslator(
            self.tunnel_settings(is_media_sender=is_media_sender),
            payload_type=options.rtp_ptype,
            nack_type=options.nack_type,
            entropy=self.network.entropy,
            remote=self.remote,
        )

    def tunnel_settings(self, *, is_media_sender: bool) -> TunnelSettings:
        """What an end of the tunnel has to know."""
        options = self.options
        return TunnelSettings(
            is_caller=self.remote is not None,
            is_media_sender=is_media_sender,
            secret=None if options.secret is None else options.secret.encode(),
            key_size=128 if options.aes_type == 128 else 256,
            rotation=options.key_rotation,
            session_keys=options.use_key_as_passphrase,
            credentials=self.credentials,
            authorize=self.authorize,
            media_port=options.virt_dst_port,
            source_port=options.virt_src_port,
            delete_null_packets=options.null_packet_deletion,
            extend_sequence=options.sequence_extension,
            mtu=options.mtu,
            overhead=dtls_overhead(options.dtls),
            family=self.family,
            is_silent=options.one_way and not is_media_sender,
            has_parities=options.fec is not None,
            parities_on_ports=options.parities_on_ports,
            splits=is_media_sender and options.split != "off",
            longest_buffer=micros(options.buffer_max + 2 * options.rtt_max),
        )

    def advanced_settings(self, *, is_media_sender: bool) -> AdvancedSettings:
        """What an end of the Advanced profile has to know."""
        options = self.options
        return AdvancedSettings(
            tunnel=attrs.evolve(
                self.tunnel_settings(is_media_sender=is_media_sender),
                advanced_capabilities=ADVANCED_CAPABILITIES,
            ),
            # Where nothing comes back nobody can say what it can.
            at_once=options.advanced_start == "at-once" or options.one_way,
            substrate=options.gre_substrate,
            mode=_MODES[options.cipher],
            compress=options.compression,
            fragment_size=options.fragment_size,
            quirks=options.quirks,
            fec=options.fec,
            flow_id=options.advanced_flow_id,
        )

    def make_sender(self, outflow: Outflow | None = None) -> Sender:
        """A sending core that begins now: a leg of *outflow*, or of a flow of its own."""
        return self._sender(self.choose_flow_id() if outflow is None else outflow.flow_id, outflow)

    def choose_flow_id(self) -> int:
        """The flow's number: the one that was asked for, or a random one."""
        chosen = self.options.flow_id
        return int.from_bytes(self.network.entropy(4), "big") & ~1 if chosen is None else chosen

    def _sender(self, flow_id: int, outflow: Outflow | None) -> Sender:
        if self.remote is not None and is_multicast(self.remote.host):
            return MulticastSender(
                self.make_translator(is_media_sender=True),
                Settings.of(self.options),
                flow_id=flow_id,
                now=current_micros(),
                wall_clock_offset=self.wall_clock_offset,
                entropy=self.network.entropy,
                remote=self.remote,
                outflow=outflow,
            )
        return Sender(
            self.make_translator(is_media_sender=True),
            Settings.of(self.options),
            flow_id=flow_id,
            now=current_micros(),
            wall_clock_offset=self.wall_clock_offset,
            entropy=self.network.entropy,
            remote=self.remote,
            outflow=outflow,
        )

    def make_receiver(self, inflow: Inflow | None = None) -> Receiver:
        """A receiving core that begins now: a leg of *inflow*, or of a flow of its own."""
        return Receiver(
            self.make_translator(is_media_sender=False),
            Settings.of(self.options),
            now=current_micros(),
            wall_clock_offset=self.wall_clock_offset,
            entropy=self.network.entropy,
            remote=self.remote,
            inflow=inflow,
        )


async def prepare(
    url: str,
    options: RistOptions | None,
    knobs: RistKnobs,
    *,
    sends: bool = False,
    authorize: bool = False,
) -> Plan:
    """Read the URL, check the options, look up the host, read the users; *sends* says which way the media is to go."""
    parsed = parse_url(url)
    if parsed.scheme != "rist":
        raise InvalidUrl(
            f"{parsed} is no rist:// URL", hint="write rist://host:port to call, rist://@:port to listen"
        )
    chosen = options_from_url(parsed, options, knobs)
    port = parsed.port or 0
    if chosen.profile == "auto" and not parsed.listen:
        raise InvalidOption(
            "profile=auto is for a listener, and this end calls",
            hint="say the profile of the other end: simple, main or advanced",
        )
    if chosen.profile in ("simple", "auto") and port % 2:
        raise InvalidUrl(
            f"port {port} is odd",
            hint=f"RIST Simple sends media to an even port and reports to the one above: use {port - 1}, "
            "or profile=main",
        )
    if chosen.one_way and parsed.listen is sends:
        raise InvalidOption(
            "one_way is set, but then a sender must call and a receiver must listen: nobody answers a call",
            hint=f"write rist://host:port for the sender and rist://@:port for the receiver, not {parsed}",
        )
    if chosen.merge_callers and sends:
        raise InvalidOption("merge_callers is for a receiver", hint="a sender of many callers is a reflector")
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
        if is_multicast(remote.host):
            _check_group(parsed, chosen, sends=sends)
    if authorize and remote is not None:
        raise InvalidOption(
            "authorize is for a listener, and this end calls", hint="it is asked about who calls"
        )
    if authorize and chosen.profile == "simple":
        raise InvalidOption("authorize does not exist in the Simple profile", hint="use profile=main")
    plan = Plan(
        url=parsed,
        options=chosen,
        network=network,
        local=local,
        family=family,
        remote=remote,
        wall_clock_offset=network.wall_clock_offset(),
        credentials=await credentials_of(chosen, is_caller=remote is not None, entropy=network.entropy),
        authorize=authorize,
        sends=sends,
    )
    _check_mtu(plan)
    return plan


def _check_group(url: EndpointUrl, options: RistOptions, *, sends: bool) -> None:
    """Who sends to a group calls it, and who receives from it listens there."""
    if not sends:
        raise InvalidOption(
            f"{url} is a group, and this end receives",
            hint=f"write {str(url).replace('//', '//@', 1)} to join it",
        )
    if options.profile != "simple":
        raise InvalidOption(
            "a group is sent to in the Simple profile only, and this is "
            f"the {options.profile.capitalize()} profile",
            hint="add profile=simple: a tunnel has one peer at its other end",
        )


def _check_mtu(plan: Plan) -> None:
    """A payload that never fits is better refused before a socket is opened."""
    if plan.options.profile != "main":
        return  # Advanced cuts what does not fit
    limit = plan.tunnel_settings(is_media_sender=True).longest_payload
    if plan.options.payload_size > limit:
        raise InvalidOption(
            f"payload_size is {plan.options.payload_size}, must be at most {limit} bytes",
            hint=f"with the headers of the Main profile more does not fit into mtu={plan.options.mtu}",
        )
