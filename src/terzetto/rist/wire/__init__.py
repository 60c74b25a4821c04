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
`gre`                 Main profile: the header of every datagram in the tunnel, and runs of them
`vsf`                 what a datagram of the tunnel carries, by EtherType or by VSF subtype
`virtual_ports`       two ports in the place of IP and UDP headers; media told from reports
`keepalive`           who I am and what I can do
`buffer_negotiation`  how long a sender can repeat and a receiver waits, libRIST's own
`oob`                 data beside the stream, and the IPv4 header that libRIST gives it
`fec_2022_1`          header of forward error correction, small matrices
`fec_2022_5`          header of forward error correction, large matrices
`fec_packet`          what both of them say
`advanced_header`     Advanced profile: the header of every packet, and runs of them
`advanced_control`    Advanced profile: control messages
`advanced_nack`       Advanced profile: requests for repeats
`eapol`, `eap_srp`    the login: its envelopes, and the messages of SRP
====================  ============================================================================
"""
