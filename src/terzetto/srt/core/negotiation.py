"""What two sides agree upon in a handshake, and on what grounds they part."""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address, EntropySource
from terzetto.primitives.time import MICROS_PER_MILLI, Micros, micros
from terzetto.srt.core.cipher import overhead_of
from terzetto.srt.core.key_exchange import KeyExchange
from terzetto.srt.options import ANNOUNCED_VERSION, PER_PACKET_OVERHEAD, SrtOptions
from terzetto.srt.wire.extensions import (
    Capabilities,
    Capability,
    ExtensionRefused,
    Extensions,
    GroupMembership,
)
from terzetto.srt.wire.filter_configuration import (
    FILTER_OVERHEAD,
    FilterConflict,
    FilterRequest,
    FilterSettings,
)
from terzetto.srt.wire.handshake import Handshake
from terzetto.srt.wire.key_material import CipherKind, KmState
from terzetto.srt.wire.rejection import RejectionReason, decode_rejection, describe_rejection

__all__ = [
    "Agreement",
    "GroupTerms",
    "RefusedError",
    "agree_as_initiator",
    "agree_as_responder",
    "make_keys",
    "offer_extensions",
    "out_of_time",
    "refused_by",
]

_OLDEST_VERSION: Final = 0x010300
_SOUND_GCM: Final = 0x010504

_KEY_FIELD: Final = {16: 2, 24: 3, 32: 4}
_KEY_SIZE: Final = {field: size for size, field in _KEY_FIELD.items()}


class RefusedError(Exception):
    """The handshake ends here; ``code`` is what the peer is, or was, told."""

    def __init__(self, code: int, why: str = "") -> None:
        super().__init__(why or f"refused with {code}")
        self.code = code
        self.has_heard = True
        """Whether anything came from the peer before."""


def refused_by(answer: Handshake) -> RefusedError:
    """What a peer's refusal says."""
    code = decode_rejection(answer.kind)
    return RefusedError(code, describe_rejection(code))


def out_of_time(*, has_heard: bool) -> RefusedError:
    """Nobody answered, or not to the end."""
    refusal = RefusedError(RejectionReason.TIMEOUT, "no answer in time")
    refusal.has_heard = has_heard
    return refusal


@attrs.frozen(kw_only=True)
class GroupTerms:
    """What a connection takes over from our group, which it is to join."""

    membership: GroupMembership
    """Our group's id and kind, and the weight of this member."""
    started_at: Micros
    """The clock of all members starts here, so that one payload has one timestamp."""
    initial_sequence: int = 0
    """Where a caller's numbers begin; who is called takes the caller's."""
    peer_group: int | None = None
    """The group that the other members found at the peer, once there is one."""


@attrs.frozen(kw_only=True)
class Agreement:
    """Everything an established connection starts from."""

    local_id: int
    peer_id: int
    peer: Address
    local: str | None
    initial_sequence: int
    started_at: Micros
    """Our clock's zero, for the timestamps we write."""
    playout_base: Micros
    """Our moment at which the peer's timestamps stood at zero."""
    mss: int
    flow_window: int
    """How many packets the peer has room for."""
    peer_version: int
    peer_flags: Capability
    receive_delay: Micros
    peer_delay: Micros
    has_playout: bool
    """Whether we hold received packets until they are due."""
    keys: KeyExchange
    stream_id: str
    options: SrtOptions
    packet_filter: FilterSettings | None = None
    group: GroupMembership | None = None
    """The peer's group, where the connection is a member of one; the weight is the caller's word."""
    peer_sequence: int | None = None
    """Where the peer's numbers begin, if not where ours do: at a rendezvous each side has its own."""
    last_word: bytes = b""
    """What a rendezvous answers to a peer that has not noticed that we agree."""
    is_legacy: bool = False
    """The peer is of before 1.3.0, and what it can do is told later; see `terzetto.srt.core.legacy`."""

    @property
    def first_received(self) -> int:
        """The number of the first packet that comes."""
        return self.initial_sequence if self.peer_sequence is None else self.peer_sequence

    @property
    def payload_limit(self) -> int:
        """The most that one packet can carry on this connection."""
        room = self.mss - PER_PACKET_OVERHEAD - overhead_of(self.keys.kind)
        if self.packet_filter is not None:
            room -= FILTER_OVERHEAD
        return min(room, self.options.payload_size or room)

    @property
    def is_stream(self) -> bool:
        """Whether payloads are pieces of one stream of bytes."""
        return not self.options.message_api

    @property
    def has_long_messages(self) -> bool:
        """Whether a message may be longer than a packet, or wait for nobody."""
        return self.options.message_api and self.options.congestion == "file"

    @property
    def protected_size(self) -> int:
        """What the packet filter pads its parities to: the most that a packet carries, once encrypted."""
        return self.payload_limit + overhead_of(self.keys.kind)


def make_keys(options: SrtOptions, entropy: EntropySource) -> KeyExchange:
    """The key machine that these options ask for."""
    return KeyExchange(
        options.passphrase,
        refresh_after=options.refresh_after,
        announce_ahead=options.announce_ahead,
        entropy=entropy,
    )


def encryption_field(options: SrtOptions) -> int:
    """What we say about key lengths in a handshake's fixed part."""
    return _KEY_FIELD.get(options.key_length, 0)


def chosen_key_size(options: SrtOptions, advertised: int) -> int:
    """The key length an initiator uses: what the listener advertises, else its own, else sixteen."""
    return _KEY_SIZE.get(advertised, options.key_length or 16)


def own_capability(options: SrtOptions) -> Capability:
    """The flags that these options mean."""
    flags = Capability.CRYPT | Capability.RETRANSMIT_FLAG | Capability.PACKET_FILTER
    if options.tsbpd:
        flags |= Capability.TSBPD_SENDER | Capability.TSBPD_RECEIVER
    if options.too_late_drop:
        flags |= Capability.TOO_LATE_DROP
    if options.nak_report:
        flags |= Capability.PERIODIC_NAK
    return flags


def _congestion_block(options: SrtOptions) -> bytes:
    """The name of the congestion controller, where it has to be said."""
    return b"" if options.congestion == "live" else options.congestion.encode()


def _check_congestion(named: bytes, options: SrtOptions) -> None:
    if (named or b"live") != options.congestion.encode():
        raise RefusedError(RejectionReason.CONGESTION, "one side is live and the other transfers files")


def offer_extensions(
    options: SrtOptions, keys: KeyExchange, *, advertised: int, group: GroupMembership | None = None
) -> Extensions:
    """The blocks of an initiator's conclusion."""
    material = b""
    if options.passphrase:
        kind = CipherKind.AES_GCM if options.crypto_mode == "gcm" else CipherKind.AES_CTR
        material = keys.offer or keys.make_offer(kind, chosen_key_size(options, advertised))
    flags = own_capability(options)
    if not options.message_api:
        flags |= Capability.STREAM
    return Extensions(
        capabilities=Capabilities(
            ANNOUNCED_VERSION,
            flags,
            micros(options.receive_latency) // MICROS_PER_MILLI,
            micros(options.peer_latency) // MICROS_PER_MILLI,
        ),
        stream_id=options.stream_id.encode(),
        congestion=_congestion_block(options),
        packet_filter=options.packet_filter.encode(),
        group=group,
        key_material=material,
    )


def _check_peer(capabilities: Capabilities | None, options: SrtOptions) -> Capabilities:
    if capabilities is None:
        raise RefusedError(RejectionReason.ROGUE, "the handshake says nothing of SRT")
    if capabilities.version < _OLDEST_VERSION:
        raise RefusedError(RejectionReason.ROGUE, "version 5 of the handshake with a version before 1.3.0")
    if capabilities.version < options.min_version:
        raise RefusedError(RejectionReason.VERSION, "the peer's version is below the least we accept")
    return capabilities


def _check_keys(state: KmState, options: SrtOptions) -> None:
    if state is KmState.BADCRYPTOMODE:
        raise RefusedError(RejectionReason.CRYPTO, "the encryption modes differ")
    if options.enforced_encryption:
        if state is KmState.BADSECRET:
            raise RefusedError(RejectionReason.BADSECRET, "the passphrases differ")
        if state is KmState.NOSECRET:
            raise RefusedError(RejectionReason.UNSECURE, "one side has a passphrase and the other has none")


def agree_as_responder(
    request: Handshake,
    offered: Extensions,
    *,
    options: SrtOptions,
    keys: KeyExchange,
    local_id: int,
    peer: Address,
    local: str | None,
    timestamp: int,
    started_at: Micros,
    now: Micros,
    terms: GroupTerms | None = None,
    own_sequence: int | None = None,
) -> tuple[Agreement, Extensions]:
    """Judge a caller's conclusion: what is agreed, and the blocks to answer with; or `RefusedError`.

    What we send is numbered as what the caller sends, unless *own_sequence* says otherwise.
    """
    theirs = _check_peer(offered.capabilities, options)
    _check_congestion(offered.congestion, options)
    if bool(theirs.flags & Capability.STREAM) is options.message_api:
        raise RefusedError(
            RejectionReason.MESSAGEAPI, "one side sends a stream of bytes and the other messages"
        )
    answered_group = _answer_group(offered.group, terms)
    packet_filter = _agree_filter(offered.packet_filter, theirs, options)
    answer = _answer_keys(offered, theirs, options, keys)
    own = own_capability(options)
    flags = own if theirs.flags & Capability.RETRANSMIT_FLAG else own & ~Capability.RETRANSMIT_FLAG
    receive_ms = micros(options.receive_latency) // MICROS_PER_MILLI
    peer_ms = micros(options.peer_latency) // MICROS_PER_MILLI
    has_playout = bool(options.tsbpd and theirs.flags & Capability.TSBPD_SENDER)
    if has_playout:
        receive_ms = max(receive_ms, theirs.sender_delay_ms)
    if theirs.flags & Capability.TSBPD_RECEIVER:
        peer_ms = max(peer_ms, theirs.receiver_delay_ms)
    agreement = Agreement(
        local_id=local_id,
        peer_id=request.socket_id,
        peer=peer,
        local=local,
        initial_sequence=request.initial_sequence if own_sequence is None else own_sequence,
        peer_sequence=request.initial_sequence,
        started_at=started_at,
        playout_base=now - timestamp,
        mss=min(request.mss, options.mss),
        flow_window=request.flow_window,
        peer_version=theirs.version,
        peer_flags=theirs.flags,
        receive_delay=receive_ms * MICROS_PER_MILLI,
        peer_delay=peer_ms * MICROS_PER_MILLI,
        has_playout=has_playout,
        keys=keys,
        stream_id=offered.stream_id.decode("utf-8", "replace"),
        options=options,
        packet_filter=None if packet_filter is None else packet_filter.settings(),
        group=offered.group,
    )
    response = attrs.evolve(
        answer,
        capabilities=Capabilities(ANNOUNCED_VERSION, flags, receive_ms, peer_ms),
        congestion=_congestion_block(options),
        packet_filter=b"" if packet_filter is None else str(packet_filter).encode(),
        group=answered_group,
    )
    return agreement, response


def _answer_group(offered: GroupMembership | None, terms: GroupTerms | None) -> GroupMembership | None:
    """Our side of the group that a caller wants its connection to belong to."""
    if offered is None:
        return None
    if terms is None:
        raise RefusedError(RejectionReason.GROUP, "groups are not accepted here")
    ours = terms.membership
    if offered.kind != ours.kind:
        raise RefusedError(RejectionReason.GROUP, "the group is of another kind than its other members said")
    if terms.peer_group is not None and offered.group_id != terms.peer_group:
        raise RefusedError(RejectionReason.GROUP, "the caller's group is another one")
    return attrs.evolve(offered, group_id=ours.group_id)


def _answer_keys(
    offered: Extensions, theirs: Capabilities, options: SrtOptions, keys: KeyExchange
) -> Extensions:
    if not offered.key_material:
        state = keys.no_offer()
        if options.passphrase:
            if options.enforced_encryption:
                raise RefusedError(RejectionReason.UNSECURE, "the caller has no passphrase")
            return Extensions(key_status=state)
        return Extensions()
    allowed = {
        "auto": frozenset(CipherKind),
        "ctr": frozenset({CipherKind.AES_CTR}),
        "gcm": frozenset({CipherKind.AES_GCM}),
    }[options.crypto_mode]
    if theirs.version < _SOUND_GCM:
        # Before 1.5.4 libsrt repeated nonces, which gives the authentication key away.
        allowed -= {CipherKind.AES_GCM}
    try:
        state = keys.accept_offer(offered.key_material, allowed=allowed)
    except MalformedPacket as exc:
        raise RefusedError(RejectionReason.ROGUE, exc.reason) from None
    _check_keys(state, options)
    if state is KmState.SECURED:
        return Extensions(key_material=offered.key_material)
    return Extensions(key_status=state)


def agree_as_initiator(
    response: Handshake,
    *,
    options: SrtOptions,
    keys: KeyExchange,
    local_id: int,
    initial_sequence: int,
    peer: Address,
    local: str | None,
    timestamp: int,
    started_at: Micros,
    now: Micros,
    terms: GroupTerms | None = None,
    peer_sequence: int | None = None,
) -> Agreement:
    """Judge the answer to our conclusion; or `RefusedError`, with the code that fits."""
    try:
        answered = Extensions.decode(response.blocks)
    except ExtensionRefused as exc:
        raise RefusedError(exc.rejection, exc.reason) from None
    except MalformedPacket as exc:
        raise RefusedError(RejectionReason.ROGUE, exc.reason) from None
    theirs = _check_peer(answered.capabilities, options)
    if peer_sequence is None and response.initial_sequence != initial_sequence:
        raise RefusedError(RejectionReason.ROGUE, "the answer changes the initial sequence number")
    _check_congestion(answered.congestion, options)
    packet_filter = _conclude_filter(answered.packet_filter, options)
    group = None if terms is None else _conclude_group(answered.group, terms)
    _check_keys(keys.conclude(answered.key_material, answered.key_status), options)
    if keys.kind is CipherKind.AES_GCM and theirs.version < _SOUND_GCM:
        raise RefusedError(RejectionReason.CRYPTO, "the peer's AES-GCM is the unsound one of before 1.5.4")
    return Agreement(
        local_id=local_id,
        peer_id=response.socket_id,
        peer=peer,
        local=local,
        initial_sequence=initial_sequence,
        peer_sequence=peer_sequence,
        started_at=started_at,
        playout_base=now - timestamp,
        mss=min(response.mss, options.mss),
        flow_window=response.flow_window,
        peer_version=theirs.version,
        peer_flags=theirs.flags,
        receive_delay=theirs.sender_delay_ms * MICROS_PER_MILLI,
        peer_delay=theirs.receiver_delay_ms * MICROS_PER_MILLI,
        has_playout=bool(options.tsbpd and theirs.flags & Capability.TSBPD_SENDER),
        keys=keys,
        stream_id=options.stream_id,
        options=options,
        packet_filter=None if packet_filter is None else packet_filter.settings(),
        group=group,
    )


def _conclude_group(answered: GroupMembership | None, terms: GroupTerms) -> GroupMembership:
    """The peer's group, as it answers to ours."""
    if answered is None:
        raise RefusedError(RejectionReason.GROUP, "the peer takes the connection, and makes no group of it")
    if answered.kind != terms.membership.kind:
        raise RefusedError(RejectionReason.GROUP, "the peer made a group of another kind")
    if terms.peer_group is not None and answered.group_id != terms.peer_group:
        raise RefusedError(RejectionReason.GROUP, "this peer's group is not that of the other members")
    return attrs.evolve(answered, weight=terms.membership.weight)


def _agree_filter(offered: bytes, theirs: Capabilities, options: SrtOptions) -> FilterRequest | None:
    """The packet filter of a connection whose caller offers *offered*: where it offers none there is none."""
    if not offered or not theirs.flags & Capability.PACKET_FILTER:
        return None
    try:
        request = FilterRequest.parse(offered.decode("ascii", "replace"))
        if options.packet_filter:
            return FilterRequest.parse(options.packet_filter).merged(request)
        request.settings()
    except FilterConflict as exc:
        raise RefusedError(RejectionReason.FILTER, str(exc)) from None
    return request


def _conclude_filter(answered: bytes, options: SrtOptions) -> FilterRequest | None:
    """The packet filter that the answer to our offer leaves us with."""
    if not options.packet_filter:
        if answered:
            raise RefusedError(
                RejectionReason.FILTER, "the answer asks for a packet filter that we did not offer"
            )
        return None
    if not answered:
        raise RefusedError(RejectionReason.FILTER, "the peer knows no packet filter, and we asked for one")
    try:
        return FilterRequest.parse(options.packet_filter).overruled(
            FilterRequest.parse(answered.decode("ascii", "replace"))
        )
    except FilterConflict as exc:
        raise RefusedError(RejectionReason.FILTER, str(exc)) from None
