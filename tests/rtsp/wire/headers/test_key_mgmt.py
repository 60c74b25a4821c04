"""KeyMgmt, and what stands in a description for it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt, format_key_mgmt_attribute, parse_key_mgmt_attribute

# As gst-rtsp-server said it.
DATA = (
    "AQAFAKbqPgQBAABfBY2YAAAAAAsA7qtq697pJPIKEIzN3fLQwmn00jk92uGEjC0BAAAAFQABAQEBEAIBAQMBCgcBAQgBAQoBAQAAACIAIAAeeIhb"
    "2b3eazS3DzCuPLE+ONUQL/3HhAQicGRCuROVAA=="
)


@pytest.mark.parametrize(
    "text",
    [
        f'prot=mikey;uri="rtsp://h/savp/stream=0";data="{DATA}"',
        f'prot=mikey; uri="rtsp://h/savp/stream=0"; data="{DATA}"',
        f'data="{DATA}";prot=MIKEY;uri="rtsp://h/savp/stream=0"',
        f"prot=mikey;uri=rtsp://h/savp/stream=0;data={DATA}",
    ],
)
def test_headers_of_peers(text: str) -> None:
    header = KeyMgmt.parse(text)
    assert header.uri == "rtsp://h/savp/stream=0"
    assert len(header.mikey.key.key) == 16
    assert KeyMgmt.parse(str(header)) == header


@pytest.mark.parametrize("text", [f"mikey {DATA}", f"MIKEY  {DATA} ", f"mikey {DATA}\n"])
def test_attributes_of_peers(text: str) -> None:
    mikey = parse_key_mgmt_attribute(text)
    assert parse_key_mgmt_attribute(format_key_mgmt_attribute(mikey)) == mikey


@given(st.text(max_size=80))
def test_keys_of_strangers_parse_or_are_malformed(text: str) -> None:
    for parse in (KeyMgmt.parse, parse_key_mgmt_attribute):
        with suppress(MalformedPacket):
            parse(text)
