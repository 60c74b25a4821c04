"""RIST on the wire, one message to a file; plain RTP and RTCP are in `terzetto.rtp`.

====================  ============================================================================
`message`             what the RIST messages carried in RTCP APP packets have in common
`range_nack`          request for lost packets by ranges (APP subtype 0)
`extseq`              upper half of the 32-bit sequence numbers of a NACK (subtype 1)
`echo`                round-trip time request and response (subtypes 2 and 3)
`link_quality`        link quality message of source adaptation, TR-06-4 Part 1
`nack_records`        sequence numbers into range and bit mask records and back, with limits
`compound`            a whole RTCP datagram into these messages
`header_extension`    RTP header extension: deleted null packets and 32-bit sequence numbers
====================  ============================================================================
"""
