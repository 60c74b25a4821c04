"""libsrt's two tables, as its documentation of 1.5.5 has them: what is in them is here too.

Names and figures are copied by hand; whoever adds an option or a figure, there or here, meets this test.
"""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.srt.options import Binding, SrtOptions, binding_of
from terzetto.srt.statistics import CSV_COLUMNS, WITH_TOTALS, SrtStatistics
from terzetto.srt.stream import SrtStream
from terzetto.srt.url import target_from_url


def names(text: str) -> list[str]:
    """One word each."""
    return text.split()


# What can be set, and until when.
PRE_BIND: Final = names("bindtodevice iptos ipttl ipv6only mss rcvbuf sndbuf udp_rcvbuf udp_sndbuf")
PRE: Final = names(
    "congestion conntimeo cryptomode enforcedencryption fc groupconnect groupminstabletimeo kmpreannounce "
    "kmrefreshrate latency messageapi minversion nakreport packetfilter passphrase payloadsize pbkeylen peeridletimeo "
    "peerlatency rcvlatency retransmitalgo streamid tlpktdrop transtype tsbpdmode"
)
POST: Final = names("drifttracer inputbw linger lossmaxttl maxbw maxrexmitbw mininputbw oheadbw snddropdelay")

# What can only be read, and where we have it.
READ_ONLY: Final = {
    "isn": (SrtStream, "initial_sequence"),
    "state": (SrtStream, "state"),
    "peerversion": (SrtStream, "peer_version"),
    "sndkmstate": (SrtStream, "sending_security"),
    "rcvkmstate": (SrtStream, "receiving_security"),
    "snddata": (SrtStatistics, "send_buffer_packets"),
    "rcvdata": (SrtStatistics, "receive_buffer_packets"),
}

# How a call blocks (sndsyn, rcvsyn, sndtimeo, rcvtimeo, event) is trio's to say; rendezvous is a function; kmstate is
# one of the two above; sender belongs to the handshake of before 1.3.0; sockets with one port (reuseaddr) are streams
# of one listener; grouptype is the class of what one opened.
ELSEWHERE: Final = names(
    "event grouptype kmstate rcvsyn rcvtimeo rendezvous reuseaddr sender sndsyn sndtimeo version"
)

IN_A_URL: Final = (
    "transtype=live maxbw=0 pbkeylen=16 passphrase=0123456789 mss=1400 fc=20000 sndbuf=2000000 rcvbuf=2000000 "
    "linger=1 ipttl=60 iptos=32 inputbw=1 mininputbw=1 oheadbw=10 latency=100 tsbpdmode=1 tlpktdrop=1 "
    "snddropdelay=-1 nakreport=1 conntimeo=1000 drifttracer=0 lossmaxttl=2 rcvlatency=10 peerlatency=10 "
    "minversion=1.4.0 streamid=x congestion=live messageapi=1 payloadsize=1316 kmrefreshrate=1000 "
    "kmpreannounce=100 enforcedencryption=0 ipv6only=-1 peeridletimeo=1000 packetfilter=fec,cols:5 groupconnect=0 "
    "groupminstabletimeo=100 bindtodevice=lo retransmitalgo=0 cryptomode=1 maxrexmitbw=-1 "
    "udp_sndbuf=100000 udp_rcvbuf=100000"
)

ACCUMULATED_AND_INTERVAL: Final = names(
    "pktSent pktRecv pktSentUnique pktRecvUnique pktSndLoss pktRcvLoss pktRetrans pktRcvRetrans pktSentACK pktRecvACK "
    "pktSentNAK pktRecvNAK usSndDuration pktSndDrop pktRcvDrop pktRcvUndecrypt pktSndFilterExtra pktRcvFilterExtra "
    "pktRcvFilterSupply pktRcvFilterLoss byteSent byteRecv byteSentUnique byteRecvUnique byteRcvLoss byteRetrans "
    "byteSndDrop byteRcvDrop byteRcvUndecrypt"
)
INTERVAL_ONLY: Final = names("mbpsSendRate mbpsRecvRate pktReorderDistance pktRcvBelated")
INSTANTANEOUS: Final = names(
    "usPktSndPeriod pktFlowWindow pktCongestionWindow pktFlightSize msRTT mbpsBandwidth byteAvailSndBuf "
    "byteAvailRcvBuf mbpsMaxBW byteMSS pktSndBuf byteSndBuf msSndBuf msSndTsbPdDelay pktRcvBuf byteRcvBuf msRcvBuf "
    "msRcvTsbPdDelay pktReorderTolerance pktRcvAvgBelatedTime"
)


def test_every_option_that_can_be_set_is_here_with_its_time() -> None:
    ours = {
        field.metadata["libsrt"]: field.metadata["binding"]
        for field in attrs.fields(SrtOptions)
        if "libsrt" in field.metadata
    }
    theirs = {
        **dict.fromkeys(PRE_BIND, Binding.BEFORE_BIND),
        **dict.fromkeys(PRE, Binding.BEFORE_CONNECT),
        **dict.fromkeys(POST, Binding.ANY_TIME),
    }
    assert {name: ours.get(name) for name in theirs} == theirs
    # Names of URLs alone.
    assert set(ours) - set(theirs) == {"adapter", "port"}
    assert len(theirs) + len(READ_ONLY) + len(ELSEWHERE) == 61


def test_every_option_that_is_set_too_late_is_an_error_that_says_so() -> None:
    options = SrtOptions()
    for field in attrs.fields(SrtOptions):
        value = getattr(options, field.name)
        if binding_of(field.name) is Binding.ANY_TIME:
            assert options.changed(connected=True, **{field.name: value}) == options
        else:
            with pytest.raises(UnsupportedOperation, match=f"{field.name} can only be set before"):
                options.changed(connected=True, **{field.name: value})


def test_every_figure_that_can_only_be_read_has_a_name_here() -> None:
    statistics = {field.name for field in attrs.fields(SrtStatistics)}
    for where, name in READ_ONLY.values():
        assert isinstance(getattr(where, name, None), property) or (
            where is SrtStatistics and name in statistics
        )


def test_urls_know_every_option_by_the_name_that_the_tools_have_for_it() -> None:
    named = dict(pair.split("=", 1) for pair in IN_A_URL.split())
    assert set(named) >= set(PRE_BIND + PRE + POST)
    changed = target_from_url("srt://h:1?" + "&".join(IN_A_URL.split()), None, {}).options
    assert (changed.mss, changed.tos, changed.interface, changed.udp_send_buffer) == (1400, 32, "lo", 100_000)
    with pytest.raises(InvalidUrl, match="reusaddr"):
        target_from_url("srt://h:1?reusaddr=1", None, {})


def test_every_statistic_is_here_by_its_name_total_and_of_the_interval() -> None:
    assert sorted(WITH_TOTALS) == sorted(ACCUMULATED_AND_INTERVAL)
    totals = [f"{name}Total" for name in ACCUMULATED_AND_INTERVAL]
    everything = ["msTimeStamp", *totals, *ACCUMULATED_AND_INTERVAL, *INTERVAL_ONLY, *INSTANTANEOUS]
    assert sorted(SrtStatistics(elapsed=1).to_libsrt()) == sorted(everything)
    assert len(everything) == 83
    assert set(CSV_COLUMNS) - {"Timepoint", "Time", "SocketID"} <= set(everything)


def test_a_packet_that_is_missed_for_long_is_lost_in_one_interval_alone() -> None:
    first = SrtStatistics(elapsed=1, received_unique=9, bytes_received_unique=9000, missing=1)
    second = SrtStatistics(elapsed=2, received_unique=19, bytes_received_unique=19_000, missing=1)
    third = SrtStatistics(elapsed=3, received_unique=30, bytes_received_unique=30_000, lost=1, recovered=1)
    assert [
        later.to_libsrt(since=earlier)["pktRcvLoss"]
        for earlier, later in ((SrtStatistics(elapsed=0), first), (first, second), (second, third))
    ] == [1, 0, 0]
    report = third.to_json(socket_id=1, timepoint="now", since=second)
    assert (report["recv"]["packetsUnique"], report["recv"]["packetsLost"]) == (11, 0)
    line = third.to_csv(socket_id=1, timepoint="now", since=second).split(",")
    assert line[CSV_COLUMNS.index("pktRecvUnique")] == "11"
