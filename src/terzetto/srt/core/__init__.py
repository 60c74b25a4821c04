"""The rules of SRT, as small machines that own neither sockets nor clocks.

``multiplexer``    one UDP socket's worth of SRT: routes datagrams to connections, listens, calls
``cookie`` ``caller`` ``listener`` ``negotiation``   how connections come about
``connection``     one established connection, composed of everything below
``sender``         ``send_buffer`` ``pacing`` ``expiry`` ``file_congestion`` ``probing_congestion``
``receiver``       ``receive_buffer`` ``messages`` ``playout_clock`` ``reorder`` ``acknowledging`` ``rates``
``round_trip`` ``range_list``   shared by both
``cipher`` ``key_exchange``     payload encryption, and how the keys travel
``counters``       what statistics are made of
"""
