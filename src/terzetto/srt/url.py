"""``srt://`` URLs: who calls whom, and options in the names and units of srt-live-transmit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from terzetto.errors import InvalidUrl
from terzetto.srt.options import SrtKnobs, SrtOptions, with_knobs
from terzetto.url import EndpointUrl, QueryReader, parse_url

__all__ = ["GROUP_MODES", "SrtTarget", "target_from_url"]

_LONGEST_MS: Final = 65_535
_UNLIKELY_SECONDS: Final = 10.0
_LARGEST_WEIGHT: Final = 65_535

GROUP_MODES: Final = ("broadcast", "backup", "balancing")

# Parameter of the URL -> field of the options; several names are those of other tools.
_MILLISECONDS: Final = {
    "latency": "latency",
    "tsbpddelay": "latency",
    "rcvlatency": "receive_latency",
    "peerlatency": "peer_latency",
    "snddropdelay": "send_drop_delay",
    "conntimeo": "connect_timeout",
    "connect_timeout": "connect_timeout",
    "peeridletimeo": "peer_idle_timeout",
    "groupminstabletimeo": "group_stability_timeout",
}
_INTEGERS: Final = {
    "maxbw": "max_bandwidth",
    "inputbw": "input_bandwidth",
    "mininputbw": "min_input_bandwidth",
    "oheadbw": "overhead",
    "maxrexmitbw": "max_retransmit_bandwidth",
    "pbkeylen": "key_length",
    "mss": "mss",
    "fc": "flow_window",
    "ffs": "flow_window",
    "sndbuf": "send_buffer",
    "rcvbuf": "receive_buffer",
    "udp_sndbuf": "udp_send_buffer",
    "send_buffer_size": "udp_send_buffer",
    "udp_rcvbuf": "udp_receive_buffer",
    "recv_buffer_size": "udp_receive_buffer",
    "ipttl": "ttl",
    "iptos": "tos",
    "lossmaxttl": "loss_max_ttl",
    "payloadsize": "payload_size",
    "payload_size": "payload_size",
    "pkt_size": "payload_size",
    "kmrefreshrate": "key_refresh_rate",
    "kmpreannounce": "key_preannounce",
    "retransmitalgo": "retransmit_algorithm",
    "ipv6only": "ipv6_only",
    "port": "local_port",
    "localport": "local_port",
    "backlog": "backlog",
}
_SWITCHES: Final = {
    "tsbpdmode": "tsbpd",
    "tsbpd": "tsbpd",
    "tlpktdrop": "too_late_drop",
    "nakreport": "nak_report",
    "drifttracer": "drift_tracer",
    "enforcedencryption": "enforced_encryption",
    "enforced_encryption": "enforced_encryption",
    "messageapi": "message_api",
    "groupconnect": "group_connect",
}
_TEXTS: Final = {
    "passphrase": "passphrase",
    "streamid": "stream_id",
    "srt_streamid": "stream_id",
    "packetfilter": "packet_filter",
    "congestion": "congestion",
    "smoother": "congestion",
    "transtype": "transmission_type",
    "bindtodevice": "interface",
    "adapter": "local_address",
}
_MODES: Final = {
    "caller": "caller",
    "client": "caller",
    "listener": "listener",
    "server": "listener",
    "rendezvous": "rendezvous",
    "default": None,
}
_CRYPTO_MODES: Final = {"0": "auto", "1": "ctr", "2": "gcm", "auto": "auto", "ctr": "ctr", "gcm": "gcm"}


@attrs.frozen(kw_only=True)
class SrtTarget:
    """What a URL asks for."""

    url: EndpointUrl
    listen: bool
    rendezvous: bool = False
    """Whether both sides call each other."""
    host: str
    port: int
    options: SrtOptions
    weight: int = 0
    """Of a member of a group: in a backup group the one with the largest sends, in a balancing one it is the share."""
    group_mode: str | None = None
    callers: str = ""
    """The path of a book of callers, for who serves many of them."""

    @property
    def doubt(self) -> str:
        """What in this URL may not have been meant so; empty where nothing strikes."""
        delay = max(self.options.receive_latency, self.options.peer_latency)
        if delay < _UNLIKELY_SECONDS:
            return ""
        return (
            f"a latency of {delay:g} s is much; ffmpeg counts it in microseconds, here it is milliseconds:"
            f" latency={delay:g} if {delay:g} ms were meant"
        )

    def __str__(self) -> str:
        return str(self.url)


def target_from_url(text: str, base: SrtOptions | None, knobs: SrtKnobs | Mapping[str, object]) -> SrtTarget:
    """Read a URL: *base*, changed by its query, changed by *knobs*."""
    url = parse_url(text)
    if url.scheme != "srt":
        raise InvalidUrl(
            f"{url} is no srt:// URL", hint="write srt://host:port to call, srt://:port to listen"
        )
    if url.port is None:
        raise InvalidUrl("srt needs a port", hint="write srt://host:port to call, srt://:port to listen")
    reader = QueryReader(url)
    values: dict[str, object] = {}
    mode = reader.choice("mode", _MODES)
    _read(reader, values)
    weight = reader.integer("weight") or 0
    if not 0 <= weight <= _LARGEST_WEIGHT:
        raise InvalidUrl(f"weight is {weight}; it must be between 0 and {_LARGEST_WEIGHT}")
    group_mode = reader.choice("groupmode", {mode: mode for mode in GROUP_MODES})
    callers = reader.text("callers") or ""
    reader.finish()
    if mode in ("caller", "rendezvous") and not url.host:
        hint = "name a host, or use mode=listener" if mode == "caller" else "name the peer's host"
        raise InvalidUrl(f"{url} calls nobody", hint=hint)
    # With neither, an adapter and no host listens there, as srt-live-transmit does.
    listen = url.listen if mode is None else mode == "listener"
    values.update(knobs)
    options = with_knobs(base, values)
    host = url.host
    if listen and not host:
        host = options.local_address
    return SrtTarget(
        url=url,
        listen=listen,
        rendezvous=mode == "rendezvous",
        host=host,
        port=url.port,
        options=options,
        weight=weight,
        group_mode=group_mode,
        callers=callers,
    )


def _read(reader: QueryReader, values: dict[str, object]) -> None:
    found: dict[str, Any] = {}
    for name, field in _MILLISECONDS.items():
        found[field] = _first(found.get(field), _milliseconds(reader, name))
    for name, field in _INTEGERS.items():
        found[field] = _first(found.get(field), reader.integer(name))
    for name, field in _SWITCHES.items():
        found[field] = _first(found.get(field), reader.boolean(name))
    for name, field in _TEXTS.items():
        found[field] = _first(found.get(field), reader.text(name))
    found["crypto_mode"] = reader.choice("cryptomode", _CRYPTO_MODES)
    found["linger"] = reader.number("linger", 0, 3600)
    found["min_version"] = _version(reader)
    # What the tools take besides, and what has no meaning for us: they only choose how a call blocks.
    reader.boolean("blocking")
    reader.text("timeout")
    values.update({field: value for field, value in found.items() if value is not None})


def _first(known: object, value: object) -> object:
    return value if known is None else known


def _milliseconds(reader: QueryReader, name: str) -> float | None:
    value = reader.milliseconds(name)
    is_delay = "latency" in name or name == "tsbpddelay"
    if is_delay and value is not None and value * 1000 > _LONGEST_MS:
        raise InvalidUrl(
            f"{name} is {value * 1000:.0f} ms; it must be between 0 and {_LONGEST_MS} ms",
            hint=f"ffmpeg counts it in microseconds, here it is milliseconds: write {name}={value:.0f}",
        )
    return value


def _version(reader: QueryReader) -> int | None:
    text = reader.text("minversion")
    if text is None:
        return None
    try:
        if text.count(".") == 2:
            major, minor, patch = (int(part) for part in text.split("."))
            return major << 16 | minor << 8 | patch
        return int(text, 0)
    except ValueError:
        raise InvalidUrl("minversion cannot be read", hint="write 1.4.0 or 0x010400") from None
