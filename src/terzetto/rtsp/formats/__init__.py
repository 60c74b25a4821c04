"""Payload formats: access units to RTP payloads and back, each a pure machine in a file of its own.

==================  ==============================================================
`contract`          units and payloads, and what assembling has in common
`catalogue`         which machine a description's format asks for
`nal_units`         what H.264 and H.265 share
`h264` `h265`       NAL units, with their parameter sets in descriptions
`vp8` `vp9` `av1`
`chopped`           MPEG-4 video and KLV: cut plainly
`mpeg_video`        MPEG-1 and MPEG-2
`jpeg`              Motion JPEG, with `jpeg_tables`
`aac` `latm`        AAC, as mpeg4-generic and as MP4A-LATM
`mpeg_audio` `ac3` `vorbis`
`whole`             Opus, Speex, G.726, and sound in samples
`mpeg_ts`           transport streams
`reader`            packets of a session to units with times
`writer`            units to RTP packets
==================  ==============================================================
"""
