from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.transport import Delivery, LowerTransport, Mode, Transport, parse_transports

UDP, TCP = LowerTransport.UDP, LowerTransport.TCP
UNICAST, MULTICAST = Delivery.UNICAST, Delivery.MULTICAST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "RTP/AVP/UDP;unicast;client_port=20160-20161",
            Transport(lower=UDP, delivery=UNICAST, client_port=(20160, 20161)),
        ),
        (
            'RTP/AVP;unicast;client_port=1-2;server_port=3-4;ssrc=4DDF7703;mode="PLAY"',
            Transport(
                lower=UDP,
                delivery=UNICAST,
                client_port=(1, 2),
                server_port=(3, 4),
                ssrc=0x4DDF7703,
                mode=Mode.PLAY,
            ),
        ),
        (
            "RTP/AVP/TCP;unicast;mode=receive;interleaved=0-1",
            Transport(lower=TCP, delivery=UNICAST, interleaved=(0, 1), mode=Mode.RECORD),
        ),
        ("RTP/AVP/TCP; interleaved=4", Transport(lower=TCP, interleaved=(4, 5))),
        (
            "rtp/avp;unicast;client_port=5000",
            Transport(lower=UDP, delivery=UNICAST, client_port=(5000, 5001)),
        ),
        (
            "RTP/AVP;multicast;destination=224.3.0.1;ttl=16;port=5000-5001",
            Transport(lower=UDP, delivery=MULTICAST, destination="224.3.0.1", ttl=16, port=(5000, 5001)),
        ),
        ("RTP/SAVP;unicast;source=", Transport(lower=UDP, profile="SAVP", delivery=UNICAST)),
        ("RTP/AVP;ssrc= 1f ;x;y=z;mode=RECORD", Transport(lower=UDP, ssrc=0x1F, mode=Mode.RECORD)),
        ("RTP/AVP;ssrc=nothex", Transport(lower=UDP)),
        ("RTP/AVP;ssrc=123456789", Transport(lower=UDP)),
        ("MP2T/H2221/UDP;unicast,RTP/AVP/TCP;unicast", Transport(lower=TCP, delivery=UNICAST)),
        ("RTP/AVP;server_port=0-0;mode=", Transport(lower=UDP, server_port=(0, 0))),
        (";;RTP/AVP;;unicast;", Transport(lower=UDP, delivery=UNICAST)),
    ],
)
def test_specs_of_real_peers(text: str, expected: Transport) -> None:
    assert Transport.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unicast",
        "RAW/RAW/UDP;unicast",
        "RTP/AVP;client_port=70000",
        "RTP/AVP;client_port=a-b",
        "RTP/AVP;client_port=-1",
        "RTP/AVP/TCP;interleaved=255",
        "RTP/AVP/TCP;interleaved=300-301",
        "RTP/AVP;ttl=256",
        "RTP/AVP;mode=sideways",
        'RTP/AVP;mode="play',
    ],
)
def test_specs_that_cannot_be(text: str) -> None:
    with pytest.raises(MalformedPacket):
        Transport.parse(text)


def test_a_list_keeps_its_order() -> None:
    lowers = [
        each.lower for each in parse_transports("RTP/AVP/TCP;unicast, RTP/AVP;unicast,RTP/AVP;multicast")
    ]
    assert lowers == [TCP, UDP, UDP]


PAIRS = st.none() | st.integers(0, 254).map(lambda low: (low, low + 1))


@given(
    st.builds(
        Transport,
        lower=st.sampled_from(LowerTransport),
        profile=st.sampled_from(["AVP", "SAVP"]),
        delivery=st.none() | st.sampled_from(Delivery),
        source=st.none() | st.just("192.0.2.1"),
        destination=st.none() | st.just("239.1.2.3"),
        interleaved=PAIRS,
        port=PAIRS,
        ttl=st.none() | st.integers(0, 255),
        client_port=PAIRS,
        server_port=PAIRS,
        ssrc=st.none() | st.integers(0, 0xFFFFFFFF),
        mode=st.none() | st.sampled_from(Mode),
    )
)
def test_what_we_write_we_read(transport: Transport) -> None:
    assert Transport.parse(str(transport)) == transport


@given(st.text(alphabet='RTP/AVC;=-",0123456789 unicasmode', max_size=60))
def test_anything_parses_or_is_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_transports("RTP/AVP;" + text)
