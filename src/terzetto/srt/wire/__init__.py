"""SRT on the wire: bytes to values and back, one file per packet; nothing here remembers anything.

``numbers``       circular sequence, message and acknowledgement numbers
``data``          the header of a data packet
``control``       the header that every control packet shares, and the packets that are nothing more
``handshake``     the handshake's fixed part
``extensions``    the blocks behind it: capabilities, keys, stream id, congestion, filter, group
``key_material``  the message that carries wrapped keys
``filter_configuration`` ``filter_packet``  parities beside the data: how they are agreed upon, what they look like
``ack`` ``nak`` ``drop_request``   reports between receiver and sender
``rejection``     why a connection is refused, in numbers and in words
``stream_id``     what people write into stream ids, in several dialects
"""
