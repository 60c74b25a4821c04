"""Payloads of ffmpeg and GStreamer, and the same from us."""

from __future__ import annotations

from base64 import b64encode

import pytest

from terzetto.rtsp.formats.aac import AacConfig, AacDepacketizer, AacPacketizer
from terzetto.rtsp.formats.ac3 import Ac3Assembler, Ac3Packetizer
from terzetto.rtsp.formats.av1 import Av1Assembler
from terzetto.rtsp.formats.catalogue import make_packetizer
from terzetto.rtsp.formats.chopped import ChoppedPacketizer, KlvAssembler, Mpeg4VideoAssembler
from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Payload
from terzetto.rtsp.formats.h264 import H264Assembler, H264Packetizer, H264Parameters
from terzetto.rtsp.formats.h265 import H265Assembler
from terzetto.rtsp.formats.jpeg import JpegAssembler
from terzetto.rtsp.formats.mpeg_audio import MpegAudioDepacketizer, MpegAudioPacketizer
from terzetto.rtsp.formats.vp8 import Vp8Assembler
from terzetto.rtsp.formats.vp9 import Vp9Assembler
from terzetto.rtsp.formats.whole import opus_duration
from terzetto.rtsp.wire.description import Format


def payloads(text: str, timestamp: int = 1000) -> list[Payload]:
    """Payloads in hexadecimal; one with a marker begins with ``>``."""
    return [
        Payload(bytes.fromhex(word.lstrip(">")), timestamp, word.startswith(">")) for word in text.split()
    ]


def units(depacketizer: Depacketizer, text: str) -> list[AccessUnit]:
    found = [unit for payload in payloads(text) for unit in depacketizer.push(payload)]
    assert not depacketizer.dropped
    return found


H264 = """
    09f0 6742c00ad91ec044000003000400000300523c489920 68cb83cb20
    7c85888411fb05e8120d838003e96ff2416281c2ff6d58d8b6144290
    7c05d7f7888444abcc2a7b749e0ee230de94527828ddae0b95996215
    7c0591418d67fdfe69e4647079504b341b8017e124a70078befd0aca
    7c05321b051c8cae0c51db2101ebdaebd5ed598004f60c000b00d209
    7c05c4006886dae615e786c5909adac610f57300f969158063557588
    7c0526f25291bf778003ce05170b558aea16bfae07029b553d83a98a
    >7c45df7ae6002e6ab0185ca7c7fed1b00121737048cdc1ad
"""


def test_h264() -> None:
    assembler = H264Assembler()
    (unit,) = units(assembler, H264)
    assert [part[0] for part in unit.parts] == [0x09, 0x67, 0x68, 0x65]
    assert unit.is_key
    assert unit.parts[3].hex().startswith("65888411fb05")
    assert unit.parts[3].hex().endswith("cdc1ad")
    cut = H264Packetizer(28).pack(AccessUnit(unit.parts[3:], 1000))
    assert [payload.data for payload in cut] == [payload.data for payload in payloads(H264)[3:]]
    (unit,) = units(assembler, ">58000209f00005419a3818ea")
    assert [part.hex() for part in unit.parts] == ["09f0", "419a3818ea"]
    assert not unit.is_key
    (payload,) = H264Packetizer().pack(unit)
    # The importance of the whole is that of its most important part, the slice.
    assert payload.data.hex() == "58000209f00005419a3818ea"


def test_h264_parameters_in_a_description() -> None:
    text = "Z0LACtkewEQAAAMABAAAAwBSPEiZIA==,aMuDyyA="
    given = Format(
        payload_type=96, encoding="H264", clock_rate=90_000, parameters={"sprop-parameter-sets": text}
    )
    parameters = H264Parameters.from_format(given)
    assert parameters.sps[0].hex() == "6742c00ad91ec044000003000400000300523c489920"
    assert parameters.pps[0].hex() == "68cb83cb20"
    written = parameters.to_format()
    assert written.parameters["sprop-parameter-sets"] == text
    assert written.parameters["profile-level-id"] == "42C00A"
    assert (
        H264Parameters.from_format(
            Format(payload_type=96, parameters={"sprop-parameter-sets": "!!,,AAAA,Zw=="})
        )
        == H264Parameters()
    )


H265 = """
    40010c01ffff01600000030090000003000003001e928090
    42010101600000030090000003000003001ea08845964aabcaf0168080000003008000000504
    4401c173d089
    620194af78a3223fb1825689ea9d4d340265af130da6ef9f3aecb6be8aba437417666fba734a9fa00767c33a3507f56c
    620114de20c337a338ed52df341ccabd5b79d22096a238927a789b83644a27360058fcc5247ef8cb67771dea3db3b3d6
    620114f4f643ff9768de3f434ae68d5f10a25503b93b9c4ae8a5604b1bda656687f4a4ea3a2aab03ad8f7b49aeb1cea5
    >6201543bcc28395a2835ed9706ed6c755de40f053c094be8082b95c53b3877bc90a0f5808b36a4f730a6
"""


def test_h265() -> None:
    (unit,) = units(H265Assembler(), H265)
    assert [part[0] >> 1 for part in unit.parts] == [32, 33, 34, 20]
    assert unit.is_key
    assert unit.parts[3].hex().startswith("2801af78a3")
    together = "6001" + "".join(f"{len(part):04x}{part.hex()}" for part in unit.parts)
    assert units(H265Assembler(), f">{together}") == [unit]
    with_order = "60010007" + "00".join(f"{len(part):04x}{part.hex()}" for part in unit.parts)
    assert units(H265Assembler(has_order=True), f">{with_order}") == [unit]


def test_vp8() -> None:
    whole = "101002009d012a100010000047088585889984880202000c0d6000feffab5080"
    (unit,) = units(Vp8Assembler(), f">{whole}")
    assert unit.data.hex() == whole[2:]
    assert unit.is_key
    cut = units(
        Vp8Assembler(),
        "908080051002009d012a1000100000470885 8080800585889984880202000c0d6000feff >80808005ab5080"
        " 90808006b1010001101000180018582ff400 >80808006080000",
    )
    assert cut[0] == unit
    assert cut[1].data.hex() == "b1010001101000180018582ff400080000"
    assert not cut[1].is_key


def test_vp9() -> None:
    picture = "824983422000f000f60038241c184200003060000010bffffd8b2a0000"
    structure = "18001000100104" + "01"
    frames = units(
        Vp9Assembler(),
        f"8af8fc{structure}{picture[:-4]} >84f8fc0000 >ccf8fd860040929c00494000032000004240 >8e58{structure}{picture}",
    )
    assert frames[0].data.hex() == picture
    assert frames[0].is_key
    assert not frames[1].is_key
    assert frames[2].data.hex() == picture
    ffmpegs = "824983420003f002f60038241c184a00003060000013bffffd591580000000"
    assert units(Vp9Assembler(), f">0c{ffmpegs}")[0].data.hex() == ffmpegs


def test_av1() -> None:
    assembler = Av1Assembler()
    (first,) = units(assembler, ">280b0800000002afff895f2008301000ab820514208100000324ffdedf1fa82778f20110")
    assert [len(part) for part in first.parts] == [11, 23]
    assert first.is_key
    (later,) = units(
        assembler,
        ">301230280400249249118c000001000100009c101230280201049200118c000001000180009ce8303003000924db2318000002000300009aa0",
    )
    assert len(later.parts) == 3
    assert not later.is_key
    (last,) = units(assembler, ">1018b8")
    assert last.data.hex() == "18b8"
    (again,) = units(
        assembler, "680b0800000002afff895f2008301000ab8205142081 d00000 >900324ffdedf1fa82778f20110"
    )
    assert len(again.parts) == 2


def test_mpeg4_video() -> None:
    pictures = units(
        Mpeg4VideoAssembler(),
        "000001b001000001b58913000001000000012000c48d8ffffd008402"
        " 1463000001b24c61766335392e33372e313030000001b30010070000 >01b610000c0a3047b6fd >000001b65199ae046f",
    )
    assert [picture.is_key for picture in pictures] == [True, False]
    assert pictures[1].data.hex() == "000001b65199ae046f"


def test_klv() -> None:
    text = "060e2b34020b01010e01030101000000 140208000459f4a6aa4aa80104b1b241 >01014101ab"
    (unit,) = units(KlvAssembler(), text)
    assert [payload.data for payload in ChoppedPacketizer(16).pack(unit)] == [
        each.data for each in payloads(text)
    ]
    without_marker = units(KlvAssembler(), text.replace(">", ""))
    assert not without_marker
    assembler = KlvAssembler()
    for payload in payloads(text.replace(">", "")):
        assembler.push(payload)
    assert assembler.push(Payload(bytes.fromhex("060e2b34020b01010e0103010100000000"), 2000)) == [unit]


def test_jpeg() -> None:
    text = (
        ">0000000001ff020200000080100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738"
        "506d51575f626768673e4d71797064785c6567631112121815182f1a1a2f634238426363636363636363636363636363636363636363636363"
        "636363636363636363636363636363636363636363636363636363e1e8a28a00ffd9"
    )
    (unit,) = units(JpegAssembler(), text)
    assert unit.data.startswith(b"\xff\xd8\xff\xdb")
    assert unit.data.endswith(bytes.fromhex("e1e8a28a00ffd9"))
    assert unit.data.count(b"\xff\xd9") == 1


class TestAac:
    FRAGMENTS = """
        00100600de02004c61766335392e33372e313030000268a159e8cc44
        001006004120dbd5fbfafd78d66b1ac49924d6d1120e2ee35ecaec9e
        00100600caec9ee2ee9c4b15c4b30e62d23a3b70b53b5d511a7ad9ca
        001006005ad604fdfe6ed8f2baba773b3e95517ec2cf4ec96370d61a
        00100600f3564c4d3134f2d98b662cb0a70a70a6ba6b6adb0c70a70a
        001006005e976760606060606060606061c0c48912061c3875e24489
        00100600121c38181818181a79e79e79e79e79e79e79e79e79e79e79
        >00100600e79e79e79e79e79e79e79e79e79e79e79e79e79e79e79e7e
    """

    def test_a_frame_in_pieces_that_each_tell_the_size_of_all(self) -> None:
        (unit,) = units(AacDepacketizer(), self.FRAGMENTS)
        assert len(unit.data) == 192
        assert [each.data for each in AacPacketizer(28).pack(unit)] == [
            each.data for each in payloads(self.FRAGMENTS)
        ]

    def test_a_frame_in_pieces_that_each_tell_their_own(self) -> None:
        own = self.FRAGMENTS.replace("00100600", "001000c0")
        (unit,) = units(AacDepacketizer(), own)
        assert len(unit.data) == 192

    def test_many_frames_in_a_packet_have_times_of_their_own(self) -> None:
        sizes = [23] + [6] * 32
        data = (528).to_bytes(2, "big") + b"".join((size << 3).to_bytes(2, "big") for size in sizes)
        data += b"".join(bytes((number,)) * size for number, size in enumerate(sizes))
        assert data.hex().startswith("021000b80030")
        found = AacDepacketizer().push(Payload(data, 5000, True))
        assert [len(unit.data) for unit in found] == sizes
        assert [unit.timestamp for unit in found] == [5000 + 1024 * number for number in range(33)]

    @pytest.mark.parametrize(
        ("config", "rate", "channels"),
        [("1190", 48_000, 2), ("140856e500", 16_000, 1), ("2b098800", 48_000, 1)],
    )
    def test_configurations(self, config: str, rate: int, channels: int) -> None:
        parsed = AacConfig.parse(bytes.fromhex(config))
        assert (parsed.rate, parsed.channels, parsed.samples) == (rate, channels, 1024)
        assert AacConfig.from_format(parsed.to_format()) == parsed

    def test_adts_headers_inside_are_taken_off(self) -> None:
        frame = bytes.fromhex("fff15080029ffc") + b"sound"
        data = (16).to_bytes(2, "big") + (len(frame) << 3).to_bytes(2, "big") + frame
        assert AacDepacketizer().push(Payload(data, 0, True))[0].data == b"sound"


def test_ac3() -> None:
    text = (
        "02020b7796b900402f842903fe757cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf8cfbba90000036b5ad6b5ad6b5ad6b5a94000000dad6b5ad"
        "6b5ad6b5ad6a500000036b5ad6b5ad6b5ad6b5a94000000dad6b5ad6b5ad6b"
        " >03025ad6a500000036b5ad6b5ad6b5ad6b5a94000000dad6b5"
        "ad6b5ad6b5ad6a40000000000000000000b2b0"
    )
    words = text.split()
    missing = 128 - (len(words[0]) + len(words[1]) - 1 - 8) // 2
    padded = words[0] + "00" * missing + " " + words[1]
    (unit,) = units(Ac3Assembler(), padded)
    assert len(unit.data) == 128
    assert len(Ac3Packetizer(80).pack(unit)) == 2


def test_mpeg_audio() -> None:
    text = (
        ">00000000fff310c40000000348000000004c414d45332e31303055555555fff310c40d000003480000000055555555555555555555555555"
        "fff310c41a000003480000000055555555555555555555555555"
    )
    frames = units(MpegAudioDepacketizer(), text)
    assert [len(frame.data) for frame in frames] == [26, 26, 26]
    steps = [frame.timestamp - 1000 for frame in frames]
    assert steps == [0, 2351, 4702]  # 576 samples at 22050 Hz, on a clock of 90 kHz
    together = AccessUnit(tuple(frame.data for frame in frames), 1000)
    (payload,) = MpegAudioPacketizer().pack(together)
    assert payload.data == payloads(text)[0].data


@pytest.mark.parametrize(
    ("packet", "ticks"),
    [
        ("fcfffe", 960),
        ("00", 480),
        ("08", 960),
        ("61", 960),
        ("78", 960),
        ("83", None),
        ("8303", 360),
        ("fb03", 2880),
    ],
)
def test_opus_tells_how_long_it_lasts(packet: str, ticks: int | None) -> None:
    data = bytes.fromhex(packet)
    if ticks is None:
        with pytest.raises(ValueError, match="truncated"):
            opus_duration(data)
    else:
        assert opus_duration(data) == ticks


def test_vorbis_names_the_configuration_of_its_description() -> None:
    configuration = b64encode(bytes.fromhex("00000001 a1b2c3 0004 00") + b"head").decode()
    described = Format(
        payload_type=96, encoding="vorbis", clock_rate=48_000, parameters={"configuration": configuration}
    )
    packetizer = make_packetizer(described)
    assert packetizer is not None
    assert packetizer.pack(AccessUnit((b"abc",), 0))[0].data == bytes.fromhex("a1b2c3 01 0003") + b"abc"
