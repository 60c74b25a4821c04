"""RTP and RTCP on the wire, shared by RIST and RTSP: bytes to values and back, nothing else.

============================  ============================================================
`header`                      the RTP packet, and the constants of the per-packet fast path
`rtcp`                        a compound RTCP packet: walk it leniently, join several into one
`framing`                     the four bytes every RTCP packet begins with
`sender_report`               SR (200), and the report block it shares with RR
`receiver_report`             RR (201)
`sdes`                        SDES (202)
`bye`                         BYE (203)
`app`                         APP (204), which RIST builds on
`feedback`                    generic NACK (205), RFC 4585
`extended_report`             XR (207) with RRTR and DLRR, RFC 3611
`ntp`                         NTP-64 time stamps and the units of LSR and DLSR
`srtp_keys`                   SRTP's profiles and the keys derived from a master key
`srtp_transform`              sealing and opening one packet, AES-CM with HMAC-SHA1 or AES-GCM
`srtp`                        both ends of SRTP and SRTCP: rollover counters, replays, several keys
============================  ============================================================

Every value has ``encode()`` and ``decode()``; `terzetto.errors.MalformedPacket` is the only way to fail to
decode.
"""
