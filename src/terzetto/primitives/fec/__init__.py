"""Forward error correction by XOR over rows and columns of packets, whatever the protocol around it.

============  ==========================================================================
`parity`      the sum of several packets: payloads of any lengths, and a few header fields
`layout`      which packets a sum covers: rows, columns, matrices even or as a staircase
`encoder`     packets in order to parities, each as soon as its last packet is there
`decoder`     packets and parities in any order to the packets that were lost
============  ==========================================================================

Sequence numbers are endless integers here; wire layers cut them to size.
"""

from terzetto.primitives.fec.decoder import Decoder, Rebuilt
from terzetto.primitives.fec.encoder import Encoder
from terzetto.primitives.fec.layout import Layout, Line
from terzetto.primitives.fec.parity import Parity, Sum

__all__ = ["Decoder", "Encoder", "Layout", "Line", "Parity", "Rebuilt", "Sum"]
