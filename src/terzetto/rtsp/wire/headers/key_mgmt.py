"""KeyMgmt: the key of what the sender of this header sends (RFC 4567).

::

    KeyMgmt: prot=mikey;uri="rtsp://host/path";data="base64"

The same ``mikey base64`` stands in a description as ``a=key-mgmt``.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.parameters import format_quoted, parse_parameters
from terzetto.rtsp.wire.mikey import Mikey

__all__ = ["KeyMgmt", "format_key_mgmt_attribute", "parse_key_mgmt_attribute"]


@frozen
class KeyMgmt:
    """A MIKEY message, and the URL it is about."""

    mikey: Mikey
    uri: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the header; MalformedPacket is the only way to fail."""
        # Several protocols may be offered, one after the other; MIKEY is the only one anybody uses.
        values: dict[str, str] = {}
        for key, value in parse_parameters(text):
            values.setdefault(key.lower(), value)
        if values.get("prot", "").lower() != "mikey":
            raise MalformedPacket("KeyMgmt is not of MIKEY")
        return cls(_decode(values.get("data", "")), values.get("uri", ""))

    def __str__(self) -> str:
        data = b64encode(self.mikey.encode()).decode()
        return f"prot=mikey;uri={format_quoted(self.uri)};data={format_quoted(data)}"


def parse_key_mgmt_attribute(value: str) -> Mikey:
    """The value of ``a=key-mgmt``; MalformedPacket is the only way to fail."""
    protocol, _, data = value.strip().partition(" ")
    if protocol.lower() != "mikey":
        raise MalformedPacket("key-mgmt is not of MIKEY")
    return _decode(data)


def format_key_mgmt_attribute(mikey: Mikey) -> str:
    """The value of ``a=key-mgmt``."""
    return f"mikey {b64encode(mikey.encode()).decode()}"


def _decode(text: str) -> Mikey:
    try:
        data = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedPacket("MIKEY message is no base64") from exc
    return Mikey.decode(data)
