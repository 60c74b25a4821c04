"""An endpoint wrapped in DTLS 1.2, by OpenSSL through pyOpenSSL (extra ``dtls``).

``endpoint``     `DtlsEndpoint`: a `DatagramEndpoint` whose datagrams are encrypted on their way to another one
``core``         who may hold state, and which association a datagram belongs to; no sockets, no clock
``association``  one peer: OpenSSL between bytes in and bytes out, and when to send a flight again
``context``      options made into an OpenSSL context, and the judgement on a peer's certificate
``names``        whether a certificate is for the host we wanted
``cookies``      proof that a stranger's address is its own, before it costs us any memory
``records``      what has to be read of a record without its keys
``options``      what users may choose
``news``         what users may want to know

Nothing here starts a task: handshakes, retransmissions and expiries happen while somebody receives.
"""

from terzetto.net.dtls.endpoint import DtlsEndpoint, wrap_endpoint
from terzetto.net.dtls.news import DtlsEnded, DtlsEstablished, DtlsEvent, DtlsPeer, DtlsStatistics
from terzetto.net.dtls.options import CipherSuite, DtlsOptions

__all__ = [
    "CipherSuite",
    "DtlsEnded",
    "DtlsEndpoint",
    "DtlsEstablished",
    "DtlsEvent",
    "DtlsOptions",
    "DtlsPeer",
    "DtlsStatistics",
    "wrap_endpoint",
]
