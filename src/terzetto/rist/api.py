"""RIST senders and receivers as trio streams.

``open_x`` is for a block, ``connect_x`` for an object that lives in a nursery of the caller's. Whoever calls and
whoever listens is independent of which way the media goes: ``rist://host:port`` calls, ``rist://@host:port``
listens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar, Unpack

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub, PacketQueue
from terzetto.driver.nursery import open_session_nursery
from terzetto.driver.session import Session, SessionPath
from terzetto.errors import InvalidUrl, NoRoute, PeerTimedOut, UnsupportedOperation, WrongProtocol
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions, Trouble
from terzetto.net.network import Network, current_network
from terzetto.net.ports import open_port_pair
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import micros, seconds
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.events import (
    NetworkTrouble,
    PacketsReady,
    PeerConnected,
    RistEvent,
    RistPacket,
)
from terzetto.rist.options import RistKnobs, RistOptions
from terzetto.rist.statistics import RistPeerStatistics, RistReceiverStatistics, RistSenderStatistics
from terzetto.rist.url import options_from_url
from terzetto.url import EndpointUrl, parse_url

__all__ = [
    "RistReceiver",
    "RistSender",
    "connect_rist_receiver",
    "connect_rist_sender",
    "open_rist_receiver",
    "open_rist_sender",
]

_CoreT = TypeVar("_CoreT", Sender, Receiver)
