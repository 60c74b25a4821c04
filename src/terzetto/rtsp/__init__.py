"""RTSP 1.0, client and server, with its media over TCP, UDP and multicast.

``wire``        bytes and values: messages, headers, session descriptions
``core``        the rules: requests and answers, authentication, sessions, reception, sending
``options``     every knob
``events``      what happens, and packets as the application sees them
``statistics``  snapshots of the counters
``client``      `open_rtsp_client`
``server``      `serve_rtsp`
``stream``      `ServerStream`, one stream to many readers
``transport_stream``  MPEG transport streams as RTP packets
``api``         all that users import
"""
