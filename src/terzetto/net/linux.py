"""Numbers of Linux's socket interface that Python's ``socket`` module lacks (some of them only in 3.11).

They are those of ``asm-generic``, which every architecture we have heard of carrying live media uses. Whoever
uses one of them first asks `IS_LINUX`, or is ready for the kernel to refuse it.
"""

from __future__ import annotations

import sys
from typing import Final

IS_LINUX: Final = sys.platform == "linux"

SOL_IP: Final = 0
SOL_UDP: Final = 17
SOL_IPV6: Final = 41

# SOL_SOCKET
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_RXQ_OVFL: Final = 40

# SOL_IP
IP_PKTINFO: Final = 8
IP_RECVERR: Final = 11
MCAST_JOIN_SOURCE_GROUP: Final = 46  # the same number at SOL_IPV6
IP_MULTICAST_ALL: Final = 49
IP_UNICAST_IF: Final = 50

# SOL_IPV6
IPV6_RECVERR: Final = 25
IPV6_MULTICAST_ALL: Final = 29
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
IPV6_UNICAST_IF: Final = 76

# SOL_UDP
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104

# Flags of recvmsg and friends
MSG_DONTWAIT: Final = 0x40
MSG_ERRQUEUE: Final = 0x2000

# Where an entry of the error queue came from (struct sock_extended_err)
SO_EE_ORIGIN_LOCAL: Final = 1
SO_EE_ORIGIN_ICMP: Final = 2
SO_EE_ORIGIN_ICMP6: Final = 3
