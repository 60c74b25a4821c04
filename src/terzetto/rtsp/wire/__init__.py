"""RTSP on the wire: bytes to values and back, nothing else.

==================  ==============================================================
`limits`            how long anything a stranger sends may be
`url`               the URL of a request, with its text kept as it came
`status`            status codes and their phrases
`fields`            the header fields of a message
`message`           requests and responses
`parser`            a byte stream in pieces of any size to requests, responses and interleaved frames
`interleaved`       RTP and RTCP inside the control connection
`headers`           one header to a file
`sdp`               session descriptions, lossless
`description`       what a session description means: medias, formats, clocks, controls
==================  ==============================================================

We read what cameras send, and write what the specification says.
"""
