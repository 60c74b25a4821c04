"""Payload formats that ffmpeg does not send by RTSP, against GStreamer's payloaders and depayloaders.

What its payloader makes of a stream we read as the very bytes of that stream, and what we make of it its depayloader
does. Packets go through files, framed as RFC 4571 has it, so nothing is lost and nothing waits.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
import trio

from terzetto.rtp.header import RtpPacket
from terzetto.rtsp.formats.catalogue import make_depacketizer
from terzetto.rtsp.formats.contract import AccessUnit, Payload
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.wire.description import Format
from tests.interop.rtsp_tools import run

pytestmark = pytest.mark.interop

TONE = "audiotestsrc num-buffers=60 wave=pink-noise ! audioconvert ! audio/x-raw,channels=1,rate=%d !"
KLV = b"".join(
    bytes.fromhex("060e2b34020b01010e01030101000000") + b"\x82\x01\x90" + Random(number).randbytes(400)
    for number in range(20)
)

SOURCES = {
    "ac3": (TONE % 48_000 + " avenc_ac3 ! ac3parse", "rtpac3pay", "rtpac3depay"),
    "vorbis": (TONE % 48_000 + " vorbisenc", "rtpvorbispay", "rtpvorbisdepay"),
    "speex": (TONE % 16_000 + " speexenc", "rtpspeexpay", "rtpspeexdepay"),
    "l24": (TONE % 48_000 + " audioconvert ! audio/x-raw,format=S24BE", "rtpL24pay", "rtpL24depay"),
    "g726-32": (TONE % 8000 + " avenc_g726 bitrate=32000", "rtpg726pay", "rtpg726depay"),
    "mp4a-latm": (
        TONE % 48_000 + " avenc_aac ! aacparse ! audio/mpeg,stream-format=raw",
        "rtpmp4apay",
        "rtpmp4adepay",
    ),
    "smpte336m": ("filesrc location={} blocksize=419 ! meta/x-klv,parsed=true", "rtpklvpay", "rtpklvdepay"),
}

CAPS = re.compile(r"GstRtpStreamPay:\S+GstPad:sink: caps = (application/x-rtp, .*)")

# Units of these go into a packet each; those of the others are cut here.
NEVER_CUT = ("g726-32", "speex")


def packets_of(path: Path) -> list[RtpPacket]:
    data = path.read_bytes()
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        found.append(RtpPacket.decode(data[2 : 2 + size]))
        data = data[2 + size :]
    return found


async def launch(pipeline: str) -> str:
    return await run("gst-launch-1.0", "-v", *pipeline.split(), timeout=60)


def format_of(told: str) -> tuple[Format, str]:
    """The format of the payloader's packets, and its capabilities as GStreamer writes them."""
    caps = CAPS.findall(told)[-1]
    fields = {
        key: value.strip('\\"')
        for key, value in re.findall(r"([\w-]+)=\(\w+\)((?:\\?\"[^\"]*\"|[^,])*)", caps)
    }
    rate = int(fields["clock-rate"])
    known = {"clock-rate", "payload", "media", "encoding-name", "ssrc", "timestamp-offset", "seqnum-offset"}
    wanted = (name for name in fields if name not in known)
    return (
        Format(
            payload_type=int(fields["payload"]),
            encoding=fields["encoding-name"],
            clock_rate=rate,
            channels=int(fields.get("encoding-params", "1")),
            parameters={name: fields[name] for name in wanted},
        ),
        caps.replace("application/x-rtp, ", "application/x-rtp-stream, ").replace(", ", ","),
    )


@pytest.mark.parametrize("codec", SOURCES)
async def test_gstreamer_and_we_read_each_other(codec: str, tmp_path: Path) -> None:
    source, payloader, depayloader = SOURCES[codec]
    (tmp_path / "klv").write_bytes(KLV)
    theirs, ours, raw, back = (tmp_path / name for name in ("theirs", "ours", "raw", "back"))
    told = ""
    with trio.fail_after(60):
        while not CAPS.search(told):  # of a pipeline that is over in no time gst-launch may tell nothing
            told = await launch(
                f"{source.format(tmp_path / 'klv')} ! tee name=t ! queue ! {payloader} ! rtpstreampay"
                f" ! filesink location={theirs} t. ! queue ! filesink location={raw}"
            )
    media_format, caps = format_of(told)
    assert media_format.codec == codec
    machine = make_depacketizer(media_format)
    assert machine is not None
    units: list[AccessUnit] = []
    for packet in packets_of(theirs):
        units += machine.push(Payload(bytes(packet.payload), packet.timestamp, packet.marker))
    units += machine.flush()
    assert not machine.dropped
    joined = b"".join(unit.data for unit in units)
    assert len(joined) > 5000
    # Headers of Vorbis and Speex stand before the frames, and travel in the description; rtpvorbispay keeps its last.
    assert joined in raw.read_bytes()

    writer = UnitWriter(media_format, Random(1).randbytes, payload_size=1400 if codec in NEVER_CUT else 300)
    framed = [len(data).to_bytes(2, "big") + data for unit in units for data in writer.write(unit)]
    ours.write_bytes(b"".join(framed))
    await launch(
        f"filesrc location={ours} ! {caps} ! rtpstreamdepay ! {depayloader} ! filesink location={back}"
    )
    assert joined in back.read_bytes()
