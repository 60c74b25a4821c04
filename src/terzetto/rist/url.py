"""The query of a ``rist://`` URL, in libRIST's names and units, as options."""

from __future__ import annotations

from typing import Any, Final, cast

import attrs

from terzetto.errors import InvalidOption, InvalidUrl
from terzetto.rist.dtls import RistDtls
from terzetto.rist.options import RistKnobs, RistOptions
from terzetto.url import EndpointUrl, QueryReader

__all__ = ["options_from_url"]

_PROFILES: Final = {
    "0": "simple",
    "1": "main",
    "2": "advanced",
    "simple": "simple",
    "main": "main",
    "advanced": "advanced",
    "adv": "advanced",
    "auto": "auto",
}

# Both sets at once in libRIST's URLs; -min and -max win over it wherever they stand.
_PAIRS: Final = {"buffer": ("buffer_min", "buffer_max"), "rtt": ("rtt_min", "rtt_max")}

_MILLISECONDS: Final = {
    "buffer-min": "buffer_min",
    "buffer-max": "buffer_max",
    "reorder-buffer": "reorder_buffer",
    "rtt-min": "rtt_min",
    "rtt-max": "rtt_max",
    "session-timeout": "session_timeout",
    "connect-timeout": "connect_timeout",
    "keepalive-interval": "keepalive_interval",
    "tick": "tick",
}

# Names that other implementations of libRIST's URLs use for the same.
_ALIASES: Final = {"keepalive": "keepalive_interval"}

_INTEGERS: Final = {
    "rtt-multiplier": "rtt_multiplier",
    "min-retries": "min_retries",
    "max-retries": "max_retries",
    "bandwidth": "bandwidth",
    "return-bandwidth": "return_bandwidth",
    "payload-size": "payload_size",
    "rtp-ptype": "rtp_ptype",
    "flow-id": "flow_id",
    "ttl": "ttl",
    "tos": "tos",
    "local-port": "local_port",
    "weight": "weight",
    "recovery-priority": "recovery_priority",
    "key-rotation": "key_rotation",
    "virt-dst-port": "virt_dst_port",
    "virt-src-port": "virt_src_port",
    "mtu": "mtu",
    "fragment-size": "fragment_size",
    "recovery-depth": "recovery_depth",
    "advanced-flow-id": "advanced_flow_id",
}

_MODES: Final = {
    "congestion-control": (
        "congestion_control",
        {"0": 0, "1": 1, "2": 2, "off": 0, "normal": 1, "aggressive": 2},
    ),
    "timing-mode": ("timing_mode", {"0": 0, "1": 1, "2": 2, "source": 0, "arrival": 1, "rtc": 2}),
}

_TEXTS: Final = {
    "cname": "cname",
    "fec": "fec",
    "adaptation": "adaptation",
    "cipher": "cipher",
    "quirks": "quirks",
    "advanced-start": "advanced_start",
    "miface": "interface",
    "source": "source",
    "secret": "secret",
    "username": "username",
    "password": "password",
    "users": "users",
}

_DTLS: Final = tuple(field.name for field in attrs.fields(RistDtls))

_SWITCHES: Final = {
    "one-way": "one_way",
    "multicast-loop": "multicast_loop",
    "fast-start": "fast_start",
    "reflector": "reflector",
    "merge-callers": "merge_callers",
    "reweight": "reweight",
    "use-key-as-passphrase": "use_key_as_passphrase",
    "null-packet-deletion": "null_packet_deletion",
    "compression": "compression",
    "gre-substrate": "gre_substrate",
    "sequence-extension": "sequence_extension",
}

# libRIST's switch, and a name for each dialect.
_SRP_COMPAT: Final = {
    "0": "auto",
    "1": "legacy",
    **{name: name for name in ("auto", "legacy", "padded", "unpadded", "zero-state")},
}

# What libRIST's URLs may also say, and what it takes: better than calling it unknown.
_OF_OTHER_PROFILES: Final = {
    "secret": "main",
    "aes-type": "main",
    "key-rotation": "main",
    "username": "main",
    "password": "main",
    "users": "main",
    "srp-compat": "main",
    "use-key-as-passphrase": "main",
    "virt-dst-port": "main",
    "virt-src-port": "main",
    "null-packet-deletion": "main",
    "dtls": "main",
    "compression": "advanced",
    "recovery-depth": "advanced",
    "cipher": "advanced",
    "fragment-size": "advanced",
    "advanced-start": "advanced",
    "advanced-flow-id": "advanced",
    "gre-substrate": "advanced",
    "quirks": "advanced",
}


# What belongs to libRIST's tools rather than to a session, or to several paths at once.
_ELSEWHERE: Final = {
    "verbose-level": "leave it out: it sets how much libRIST's tools print",
    "multiplex-mode": "leave it out: it belongs to libRIST's udp:// side",
    "multiplex-filter": "leave it out: it belongs to libRIST's udp:// side",
    "stream-id": "leave it out: it belongs to libRIST's udp:// side",
    "rtp-timestamp": "leave it out: it belongs to libRIST's rtp:// side",
    "rtp-sequence": "leave it out: it belongs to libRIST's rtp:// side",
}


def options_from_url(url: EndpointUrl, base: RistOptions | None, knobs: RistKnobs) -> RistOptions:
    """*base*, changed by the URL's query, changed by *knobs*."""
    values: dict[str, object] = {}
    reader = QueryReader(url)
    _put(values, "profile", reader.choice("profile", _PROFILES))
    _refuse_other_profiles(url, values, base, knobs)
    for name, pair in _PAIRS.items():
        both = reader.milliseconds(name)
        if both is not None:
            values.update(dict.fromkeys(pair, both))
    for name, field in _MILLISECONDS.items():
        _put(values, field, reader.milliseconds(name))
    for name, field in _ALIASES.items():
        _put(values, field, reader.milliseconds(name))
    for name, (field, choices) in _MODES.items():
        _put(values, field, reader.choice(name, choices))
    for name, field in _INTEGERS.items():
        _put(values, field, reader.integer(name))
    for name, field in _TEXTS.items():
        _put(values, field, reader.text(name))
    for name, field in _SWITCHES.items():
        _put(values, field, reader.boolean(name))
    _put_dtls(values, reader)
    _put(values, "nack_type", reader.choice("nack-type", {"range": "range", "bitmask": "bitmask"}))
    _put(values, "split", reader.choice("split", {name: name for name in ("off", "auto", "half")}))
    _put(values, "merge", reader.choice("merge", {name: name for name in ("off", "pairs", "auto")}))
    _put(values, "srp_compat", reader.choice("srp-compat", _SRP_COMPAT))
    _put_aes_type(values, url, reader.integer("aes-type"))
    _refuse_what_is_elsewhere(url)
    reader.finish()
    _take_knobs(values, knobs)
    try:
        return attrs.evolve(base or RistOptions(), **cast("dict[str, Any]", values))
    except ValueError as exc:
        if isinstance(exc, InvalidOption):
            raise
        raise InvalidOption(str(exc)) from exc


def _put(values: dict[str, object], field: str, value: object) -> None:
    if value is not None:
        values[field] = value


def _put_dtls(values: dict[str, object], reader: QueryReader) -> None:
    """Its details belong together, so those of a URL replace all that *base* has."""
    wanted = reader.boolean("dtls")
    details = {field: reader.text("dtls-" + field.replace("_", "-")) for field in _DTLS}
    said = {field: text for field, text in details.items() if text is not None}
    if wanted is False:
        values["dtls"] = None
    elif wanted or said:
        values["dtls"] = RistDtls(**cast("dict[str, Any]", said))


def _put_aes_type(values: dict[str, object], url: EndpointUrl, bits: int | None) -> None:
    """libRIST's 0 is no encryption, which contradicts a secret, and nothing else."""
    if bits == 0:
        if values.get("secret") is not None:
            raise InvalidUrl(
                f"aes-type is 0 and there is a secret in {url}",
                hint="a secret means encryption: leave aes-type out, or the secret",
            )
        return
    if bits == 192:
        raise InvalidUrl("aes-type is 192, which RIST has no way to say on the wire", hint="use 128 or 256")
    _put(values, "aes_type", bits)


def _take_knobs(values: dict[str, object], knobs: RistKnobs) -> None:
    known = {field.name for field in attrs.fields(RistOptions)} | {"buffer"}
    for name, value in knobs.items():
        if name not in known:
            raise InvalidOption(f"there is no option {name!r}", hint=f"there are {', '.join(sorted(known))}")
        if name == "buffer":
            values["buffer_min"] = values["buffer_max"] = value
    values.update({name: value for name, value in knobs.items() if name != "buffer"})


def _refuse_what_is_elsewhere(url: EndpointUrl) -> None:
    for name, _ in url.query:
        if name in _ELSEWHERE:
            raise InvalidUrl(f"the parameter {name} means nothing here", hint=_ELSEWHERE[name])


def _refuse_other_profiles(
    url: EndpointUrl, values: dict[str, object], base: RistOptions | None, knobs: RistKnobs
) -> None:
    profile = knobs.get("profile", values.get("profile", (base or RistOptions()).profile))
    for name, _ in url.query:
        needed = _OF_OTHER_PROFILES.get(name)
        if needed is not None and profile == "simple":
            raise InvalidUrl(
                f"the parameter {name} does not exist in the Simple profile",
                hint=f"add profile={needed}, or leave {name} out: Simple neither encrypts nor authenticates",
            )
