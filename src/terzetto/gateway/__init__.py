"""What joins endpoints to one another; the only package that knows more than one protocol.

A *source* gives batches of packets, a *sink* takes them, a *route* carries one source to many sinks.

``contract``    what a source and a sink are, and what passes between them
``registry``    which module knows a URL's scheme
``route``       one input to many outputs
``output``      one of those outputs: its queue, its failures, its coming back
``pacing``      bytes of a file into payloads, each at its time
``udp`` ``rtp`` ``rist`` ``file`` ``stdio``   one module for each scheme

``impairment``     a UDP proxy that treats what passes as a bad network would; ``impaired_client`` is one client of it
``demonstration``  a stream that goes through that proxy and is compared; ``demonstrable`` lists the protocols
"""
