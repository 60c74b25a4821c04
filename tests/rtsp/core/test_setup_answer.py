from __future__ import annotations

import pytest

from terzetto.errors import MalformedPacket
from terzetto.rtsp.core.setup_answer import agree
from terzetto.rtsp.wire.headers.transport import Transport

UDP = Transport.parse("RTP/AVP;unicast;client_port=5000-5001")
TCP = Transport.parse("RTP/AVP/TCP;unicast;interleaved=0-1")
GROUP = Transport.parse("RTP/AVP;multicast")


def test_what_servers_answer() -> None:
    answer = Transport.parse("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=1F")
    agreed = agree(UDP, answer, peer_host="192.0.2.1")
    assert (agreed.source_host, agreed.server_port, agreed.is_tcp) == ("192.0.2.1", (6000, 6001), False)
    other_channels = Transport.parse("RTP/AVP/TCP;interleaved=4-5")
    assert agree(TCP, other_channels, peer_host="192.0.2.1").channels == (4, 5)
    group = Transport.parse("RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001;ttl=3")
    assert agree(GROUP, group, peer_host="192.0.2.1").transport.destination == "239.1.1.1"


def test_tcp_may_be_the_answer_to_udp() -> None:
    assert agree(UDP, TCP, peer_host="192.0.2.1").is_tcp


@pytest.mark.parametrize(
    ("asked", "answer", "reason"),
    [
        (UDP, "RTP/AVP;unicast;client_port=5000-5001", "no server port"),
        (UDP, "RTP/AVP;unicast;server_port=0-0", "no server port"),
        (UDP, "RTP/SAVP;unicast;server_port=6000-6001", "changes the profile"),
        (UDP, "RTP/AVP;multicast;destination=239.1.1.1;port=1-2", "unicast or multicast"),
        (UDP, "RTP/AVP;unicast;server_port=6000-6001;source=192.0.2.9", "another address"),
        (TCP, "RTP/AVP;unicast;server_port=6000-6001", "TCP to UDP"),
        (TCP, "RTP/AVP/TCP;unicast", "no channels"),
        (TCP, "RTP/AVP/TCP;interleaved=0-5", "not consecutive"),
        (TCP, "RTP/AVP/TCP;interleaved=2-3", "in use"),
        (GROUP, "RTP/AVP;multicast;port=1-2", "no multicast group"),
        (GROUP, "RTP/AVP;multicast;destination=192.0.2.1;port=1-2", "no multicast group"),
        (GROUP, "RTP/AVP;multicast;destination=evil.example;port=1-2", "no multicast group"),
    ],
)
def test_what_cannot_be_an_answer(asked: Transport, answer: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        agree(asked, Transport.parse(answer), peer_host="192.0.2.1", channels_in_use=frozenset({2, 3}))


def test_names_are_not_resolved_and_other_sources_need_leave() -> None:
    named = Transport.parse("RTP/AVP;unicast;server_port=6000-6001;source=cam.example")
    assert agree(UDP, named, peer_host="192.0.2.1").source_host == "192.0.2.1"
    elsewhere = Transport.parse("RTP/AVP;unicast;server_port=6000-6001;source=192.0.2.9")
    assert agree(UDP, elsewhere, peer_host="192.0.2.1", trust_source=True).source_host == "192.0.2.9"


def test_any_port_needs_leave() -> None:
    answer = Transport.parse("RTP/AVP;unicast;server_port=0-1")
    assert agree(UDP, answer, peer_host="192.0.2.1", any_port=True).server_port is None
