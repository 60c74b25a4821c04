from __future__ import annotations

from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound
from terzetto.rtp.srtp import SrtpReceiver, SrtpSender
from terzetto.rtsp.core.media_keys import MediaKeys, make_key
from terzetto.rtsp.core.reception import Reception
from terzetto.rtsp.core.track import ReceptionSettings, TrackSetup
from terzetto.rtsp.wire.description import Description

MEDIA = Description.mpeg_ts("x").medias[0]


def punches(keys: MediaKeys | None) -> dict[int, bytes]:
    """What opens firewalls, by port."""
    setup = TrackSetup(index=0, media=MEDIA, host="192.0.2.1", rtp_port=5000, rtcp_port=5001, keys=keys)
    reception = Reception([setup], ReceptionSettings(), ssrc=0x1234, now=0)
    reception.handle_timeout(now=0)
    return {run.peer.port: bytes(run.datagrams[0]) for run in reception.poll_transmits()}


def test_firewalls_are_opened_with_packets_that_mean_nothing() -> None:
    assert punches(None) == {
        5000: bytes.fromhex("800000000000000000000000"),
        5001: bytes.fromhex("80c9000100000000"),
    }


def test_beside_encrypted_reports_the_opener_is_one_as_well() -> None:
    key = make_key(lambda size: bytes(size))
    sealed = punches(MediaKeys(inbound=None, outbound=SrtpSender(key)))[5001]
    plain = SrtpReceiver(key).unprotect_rtcp(sealed)
    assert plain is not None
    assert decode_compound(plain).packets == (ReceiverReport(0x1234, ()),)
