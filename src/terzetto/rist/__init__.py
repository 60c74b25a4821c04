"""RIST, the Reliable Internet Stream Transport of the Video Services Forum (TR-06).

=============  ==========================================================================
`wire`         bytes to values and back: RTCP messages, GRE, keepalives, Advanced headers
`core`         the rules of the protocol: pure machines that are told what happened
`options`      every knob, validated
`events`       what a session tells its user
`statistics`   snapshots
`api`          the streams; the only file here that knows trio
=============  ==========================================================================
"""
