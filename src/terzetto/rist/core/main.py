"""The Main profile on the wire (TR-06-2): everything in one tunnel of GRE over UDP, enciphered or not.

Who may touch the tunnel's state, its keys, login and revision, is the association's to say. While it belongs to
nobody, one caller at a time is looked at: that keeps strangers from bending what another one is building, and bounds
what a flood of them can cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rist import events
from terzetto.rist.core.clock_rates import clock_rate
from terzetto.rist.core.counters import AdvancedState
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.gre_session import Opening
from terzetto.rist.core.profile import FEC_COLUMN, FEC_OFFSETS, FEC_ROW, MEDIA, Admits
from terzetto.rist.core.psk_keys import check_passphrase
from terzetto.rist.core.rtcp_translation import NackType, compound_from_feedback
from terzetto.rist.core.rtp_translation import extended_rtp_from_media, rtp_from_media
from terzetto.rist.core.stream_payload import ports_of
from terzetto.rist.core.tunnel_guest import TunnelGuest
from terzetto.rist.core.tunnel_reading import Arrivals, TunnelReading
from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.core.vocabulary import Feedback
from terzetto.rist.events import RistEvent, RistPacket
from terzetto.rist.wire.buffer_negotiation import BufferNegotiation
from terzetto.rist.wire.gre import EAPOL, NEWEST_VERSION, GreRun, decode_run
from terzetto.rist.wire.keepalive import Capability, Keepalive
from terzetto.rist.wire.oob import is_out_of_band_type
from terzetto.rist.wire.virtual_ports import VirtualPorts
from terzetto.rist.wire.vsf import TunnelContent

__all__ = ["MainTranslator"]

# A caller that is silent for longer makes room for another one, and so does one that gets nowhere.
_GUEST_SILENCE: Final[Micros] = MICROS_PER_SECOND
_GUEST_PATIENCE: Final[Micros] = 15 * MICROS_PER_SECOND

# libRIST takes no notice of a login before it has heard something else.
_LOGIN_DELAY: Final[Micros] = 20 * MICROS_PER_MILLI

_LARGEST_OUT_OF_BAND: Final = 9_900

# Right after the tunnel's own endpoint: there is none for reports.
_PARITY_PATHS: Final = frozenset({FEC_COLUMN - 1, FEC_ROW - 1})


class MainTranslator:
    """Speaks the Main profile with one peer."""

    feedback_path = MEDIA
    parity_paths = _PARITY_PATHS
    pins_port = True

    def __init__(
        self,
        settings: TunnelSettings,
        *,
        payload_type: int,
        nack_type: NackType,
        entropy: EntropySource,
        remote: Address | None,
    ) -> None:
        self._settings = settings
        self.sequence_bits = 32 if settings.extend_sequence else 16
        self._payload_type = payload_type
        self.nack_type: NackType = nack_type
        self._entropy = entropy
        self._remote = remote
        self._longest_payload = settings.longest_payload
        self.clock_rate = clock_rate(payload_type)
        # Who is authenticated by name is so at an address; who is not may have been re-bound.
        self.tells_streams = False
        self.sender_longest: Micros | None = None
        self.may_move = settings.credentials is None and not settings.authorize
        self.peer_splits = False
        """Whether the peer says that it sends every payload as two packets."""
        self._admits: Admits | None = None
        self._guest: TunnelGuest | None = None
        self._report_destination = settings.source_port ^ 1
        self._parity_ports = frozenset(
            (settings.media_port + offset).to_bytes(2, "big")
            for offset in (FEC_OFFSETS.values() if settings.has_parities else ())
        )
        self._dropped: Counter[str] = Counter()
        self._control: list[Run] = []
        self._events: list[RistEvent] = []

    # -- the profile's own business ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the peer has proved what it has to prove."""
        return self._guest is not None and self._guest.is_open

    def start(self, admits: Admits, *, now: Micros) -> None:
        """A caller opens the tunnel; a listener waits."""
        self._admits = admits
        self._call(now)

    def forget_peer(self, *, now: Micros) -> None:
        """The tunnel ends with its peer; a caller begins another."""
        self._dismiss()
        self._call(now)

    def close(self, *, now: Micros) -> None:
        """Keepalives with the disconnect bit, so that a restart needs no timeout."""
        del now
        guest = self._guest
        if guest is None:
            return
        self._say_openings(guest, guest.tunnel.gre.farewell(), disconnect=True)

    def handle_timeout(self, *, now: Micros) -> None:
        """Keepalives, and the login's timers."""
        guest = self._guest
        if guest is None:
            return
        self._say_openings(guest, guest.tunnel.gre.due(now=now))
        guest.handle_timeout(now=now)
        self._collect(guest)

    def next_timeout(self) -> Micros | None:
        """When either is due."""
        return None if self._guest is None else self._guest.next_timeout()

    def poll_control(self) -> list[Run]:
        """Keepalives, logins, buffer negotiations, out-of-band data."""
        control, self._control = self._control, []
        return control

    def poll_events(self) -> list[RistEvent]:
        """What happened to keys and logins."""
        told, self._events = self._events, []
        return told

    def authorize(self, peer: Address, accepted: bool, *, now: Micros, reason: str = "") -> None:
        """The application's word on `AuthorizationWanted`."""
        guest = self._guest
        if guest is not None and guest.address == peer:
            guest.authorize(accepted, now=now, reason=reason)
            self._collect(guest)

    def change_passphrase(self, passphrase: bytes, *, now: Micros) -> None:
        """Use another secret from now on, without a gap in the media.

        A media sender changes at once, or, after a login, when its peer has been told. A media receiver is ready
        for the new one at once, and changes what it sends itself when the sender has.
        """
        check_passphrase(passphrase)
        if self._settings.secret is None:
            raise InvalidOption("there is no secret that could be changed", hint="open the session with one")
        self._settings = self._settings.with_secret(passphrase)
        guest = self._guest
        if guest is None:
            return
        guest.tunnel.decipher.install_passphrase(passphrase)
        if not self._settings.is_media_sender:
            guest.tunnel.switch_when_proved = passphrase
        elif guest.login is None or not guest.login.announce(passphrase, now=now):
            guest.tunnel.encipher_with(passphrase)
            self._events.append(events.PassphraseChanged(confirmed=False))
        self._collect(guest)

    def send_out_of_band(self, data: Buffer, ether_type: int) -> bool:
        """Data beside the stream; False where there is no peer yet."""
        if not is_out_of_band_type(ether_type):
            raise InvalidOption(
                f"ether_type is {ether_type:#06x}, must be 0x0600 to 0xffff and none of RIST's own",
                hint="0x0800, a whole IPv4 packet, is what libRIST takes",
            )
        limit = min(self._longest_payload, _LARGEST_OUT_OF_BAND)
        if len(data) > limit:
            raise InvalidOption(f"out-of-band data has {len(data)} bytes, must have at most {limit}")
        guest = self._guest
        if guest is None or not guest.is_open or self._admits is None or not self._admits.is_alive:
            return False
        self._control.append(guest.run(guest.tunnel.wrap([data], ether_type)))
        return True

    def prepare_media(self, payloads: Sequence[Buffer]) -> Sequence[Buffer]:
        """Every payload is a packet."""
        return payloads

    def assemble(self, packets: list[RistPacket]) -> list[RistPacket]:
        """Every packet is a payload."""
        return packets

    def assemble_expedited(self, packets: list[RistPacket]) -> list[RistPacket]:
        """There are none."""
        return packets

    def check_payloads(self, payloads: Sequence[Buffer]) -> None:
        """Raise InvalidOption where one is too long."""
        limit = self._longest_payload
        if payloads and max(map(len, payloads)) > limit:
            raise InvalidOption(
                f"a payload has {max(map(len, payloads))} bytes, must have at most {limit}",
                hint=f"with the headers of the Main profile more does not fit into mtu={self._settings.mtu}",
            )

    @property
    def dropped(self) -> dict[str, int]:
        """What was not understood, or not let in, by reason."""
        dropped = Counter(self._dropped)
        if self._guest is not None:
            dropped.update(self._guest.dropped)
        return dropped

    @property
    def key_rotations(self) -> int:
        """How often what we send has got a new key."""
        guest = self._guest
        return 0 if guest is None or guest.tunnel.cipher is None else guest.tunnel.cipher.rotations

    @property
    def is_enciphered(self) -> bool:
        """Whether what we send is enciphered."""
        return self._guest is not None and self._guest.tunnel.cipher is not None

    @property
    def username(self) -> str:
        """Who the peer proved to be, empty where nobody asked."""
        return self._guest.username if self._guest is not None else ""

    @property
    def fec_receiver(self) -> FecReceiver | None:
        """Nobody here: parities are of payloads."""
        return None

    @property
    def parities_sent(self) -> tuple[int, int]:
        """None here."""
        return 0, 0

    @property
    def advanced_state(self) -> AdvancedState | None:
        """None here."""
        return None

    # -- who is it -----------------------------------------------------------------------------------------------

    def _call(self, now: Micros) -> None:
        if self._remote is None:
            return
        guest = self._receive_guest(self._remote, now)
        self._say_openings(guest, guest.tunnel.gre.opening(now=now))
        if guest.login is not None:
            guest.login_at = now + _LOGIN_DELAY

    def _receive_guest(self, address: Address, now: Micros) -> TunnelGuest:
        self._dismiss()
        self._guest = guest = TunnelGuest(self._settings, address, entropy=self._entropy, now=now)
        return guest

    def _dismiss(self) -> None:
        guest = self._guest
        if guest is not None:
            self._dropped.update(guest.dropped)
            self._events += guest.poll_events()
            self._guest = None
            self.sender_longest = None

    def _guest_of(self, run: Run, now: Micros) -> TunnelGuest | None:
        """Whose datagrams these are, if they may be looked at."""
        assert self._admits is not None
        count = len(run.datagrams)
        guest = self._guest
        if guest is not None and guest.address == run.peer:
            guest.heard_at = now
            guest.local = run.local
            return guest
        if not self._admits.may_speak(run.peer, now=now, datagrams=count):
            return None
        if self._admits.is_alive:
            # Somebody from the peer's own host, the peer being silent; who it is its keys must show.
            return guest
        if guest is not None and not guest.has_outstayed(
            now, silence=_GUEST_SILENCE, patience=_GUEST_PATIENCE
        ):
            self._dropped["another caller is being looked at"] += count
            return None
        guest = self._receive_guest(run.peer, now)
        guest.local = run.local
        return guest

    # -- in ------------------------------------------------------------------------------------------------------

    def decode(self, runs: Sequence[Run], *, now: Micros) -> Arrivals:
        """What *runs* say, as far as it is the peer's and makes sense."""
        arrivals: Arrivals = []
        for run in runs:
            guest = self._guest_of(run, now)
            if guest is None:
                continue
            for gre in decode_run(run.datagrams, self._dropped):
                if gre.protocol_type == EAPOL:
                    self._take_login(guest, gre, now)
                else:
                    self._take(guest, run, gre, arrivals, now)
        return arrivals

    def _take_login(self, guest: TunnelGuest, gre: GreRun, now: Micros) -> None:
        if guest.login is None:
            self._dropped["login, and no name or users to log in with"] += len(gre.payloads)
            guest.tell_once(events.LoginWanted(guest.address))
        else:
            guest.login.handle_frames(gre.payloads, now=now)
        self._collect(guest)

    def _take(self, guest: TunnelGuest, run: Run, gre: GreRun, arrivals: Arrivals, now: Micros) -> None:
        assert self._admits is not None
        plains = guest.open(gre, now=now)
        if not plains:
            self._collect(guest)
            self._answer_refused(guest, run, now)
            return
        reading = TunnelReading(run, self._dropped, self._parity_ports, tells_streams=self.tells_streams)
        reading.read(gre.protocol_type, plains)
        if reading.sense:
            guest.tunnel.gre.note_heard(gre.version)
        if not self._may_be_heard(guest, run, sense=reading.sense, packets=len(plains), now=now):
            return
        arrivals += reading.arrivals
        if reading.report_source is not None:
            self._report_destination = reading.report_source
        self._take_rest(guest, reading, now)

    def _may_be_heard(self, guest: TunnelGuest, run: Run, *, sense: int, packets: int, now: Micros) -> bool:
        """Whether what a guest said is listened to; *sense* is how much of it could be understood."""
        assert self._admits is not None
        if not sense and not self._admits.is_alive:
            return False
        if sense:
            said_before = len(self._control)
            if not guest.is_settled:
                self._welcome(guest, now)
            guest.address, guest.local = run.peer, run.local
            if guest.owed:
                self._pay(guest, _size(run) - sum(map(_size, self._control[said_before:])))
        if not guest.is_open:
            # Only who is in is listened to; what was said so far is a sign of life and no more.
            self._dropped["before the peer had proved itself"] += packets
        return guest.is_open

    def _take_rest(self, guest: TunnelGuest, reading: TunnelReading, now: Micros) -> None:
        for nonce in reading.future_nonces:
            guest.tunnel.decipher.prepare(nonce, wide_key=guest.wide_key, now=now)
        for asked in reading.negotiations:
            self._negotiate(guest, asked)
        for body in reading.keepalives:
            self.peer_splits = Capability.LOAD_SHARING in Keepalive.decode(body).capabilities
        self._events += reading.out_of_band

    def _welcome(self, guest: TunnelGuest, now: Micros) -> None:
        """The first that makes sense of a peer: keepalives, login, the application's word."""
        guest.welcome(now=now)
        guest.owed += guest.tunnel.gre.opening(now=now)
        self._collect(guest)

    def _pay(self, guest: TunnelGuest, allowance: int) -> None:
        """Say what opens a session, but no more bytes of it than were just heard.

        Whoever forges a sender's address must not make us say more to the victim than it says itself.
        """
        while guest.owed:
            said = self._say_within(guest, guest.owed[:1], allowance)
            if said is None:
                return
            allowance -= said
            del guest.owed[0]

    def _say_within(self, guest: TunnelGuest, openings: Sequence[Opening], allowance: int) -> int | None:
        """Say *openings* if they take no more than *allowance* bytes; how many they took."""
        said_before = len(self._control)
        self._say_openings(guest, openings)
        said = sum(map(_size, self._control[said_before:]))
        if said > allowance:
            del self._control[said_before:]
            return None
        return said

    def _answer_refused(self, guest: TunnelGuest, run: Run, now: Micros) -> None:
        """Let a caller with another secret, or none, find out."""
        version = guest.refusal_due(now) if self._remote is None else None
        if version is not None:
            self._say_within(guest, [Opening(TunnelContent.KEEPALIVE, version)], _size(run))

    def tell_buffer(self, buffer: Micros) -> None:
        """The newest revision alone has a word for it, so who shows another is told nothing."""
        guest = self._guest
        if guest is not None and guest.is_open and guest.tunnel.gre.heard == NEWEST_VERSION:
            said = BufferNegotiation(receiver_current_ms=min(buffer // MICROS_PER_MILLI, 0xFFFF))
            self._control.append(guest.run(guest.tunnel.wrap_negotiation(said)))

    def _negotiate(self, guest: TunnelGuest, asked: BufferNegotiation) -> None:
        """Single streams are not negotiated apart; who asks how long we can repeat is told."""
        if asked.protocol:
            self._control.append(guest.run(guest.tunnel.wrap_negotiation(asked.refusal)))
        elif self._settings.is_media_sender and asked.receiver_current_ms:
            self._control.append(guest.run(guest.tunnel.wrap_negotiation()))
        elif not self._settings.is_media_sender and asked.sender_max_ms:
            self.sender_longest = asked.sender_max_ms * MICROS_PER_MILLI

    # -- out -----------------------------------------------------------------------------------------------------

    def encode_media(
        self,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool = False,
    ) -> list[Buffer]:
        """Datagrams of RTP; the SSRC's lowest bit marks repeats."""
        assert self._guest is not None
        tunnel = self._guest.tunnel
        settings = self._settings
        protocol_type, lead = tunnel.lead(TunnelContent.DATA)
        ports = (ports_of(payloads[0]) if payloads else None) or VirtualPorts(
            settings.source_port, settings.media_port
        )
        before = lead + ports.encode()
        ssrc = flow_id | is_retransmission
        if settings.has_extension:
            packets = extended_rtp_from_media(
                payloads,
                payload_type=self._payload_type,
                first_sequence=first_sequence,
                timestamp=timestamp,
                ssrc=ssrc,
                before=before,
                delete_nulls=settings.delete_null_packets,
                extend_sequence=settings.extend_sequence,
            )
        else:
            packets = rtp_from_media(
                payloads,
                payload_type=self._payload_type,
                first_sequence=first_sequence,
                timestamp=timestamp,
                ssrc=ssrc,
                before=before,
            )
        return tunnel.wrap(packets, protocol_type)

    def encode_parities(
        self, kind: int, packets: list[Buffer], media: Address
    ) -> tuple[Address, int, list[Buffer]]:
        """Parities go to ports of their own in plain UDP, as in Simple, or to such virtual ports in the tunnel.

        Beside the tunnel they give away what a secret protects, since each is a sum of payloads.
        """
        if self._settings.parities_on_ports:
            return Address(media.host, media.port + FEC_OFFSETS[kind]), MEDIA, packets
        assert self._guest is not None
        tunnel = self._guest.tunnel
        settings = self._settings
        protocol_type, lead = tunnel.lead(TunnelContent.DATA)
        before = lead + VirtualPorts(settings.source_port, settings.media_port + FEC_OFFSETS[kind]).encode()
        return media, MEDIA, tunnel.wrap([before + packet for packet in packets], protocol_type)

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """One RTCP compound."""
        assert self._guest is not None
        tunnel = self._guest.tunnel
        settings = self._settings
        if settings.is_media_sender:
            ports = VirtualPorts(settings.source_port ^ 1, settings.media_port + 1)
        else:
            ports = VirtualPorts(settings.media_port + 1, self._report_destination)
        protocol_type, lead = tunnel.lead(TunnelContent.DATA)
        body = lead + ports.encode() + compound_from_feedback(said, nack_type=self.nack_type)
        return tunnel.wrap([body], protocol_type)

    def feedback_address(self, media: Address) -> Address:
        """There is one port for everything."""
        return media

    def media_address(self, feedback: Address) -> Address:
        """There is one port for everything."""
        return feedback

    # -- helpers -------------------------------------------------------------------------------------------------

    def _say_openings(
        self, guest: TunnelGuest, openings: Sequence[Opening], *, disconnect: bool = False
    ) -> None:
        if openings and not self._settings.is_silent:
            self._control.append(guest.run(guest.tunnel.wrap_openings(openings, disconnect=disconnect)))

    def _collect(self, guest: TunnelGuest) -> None:
        """What a guest's keys and login have to say, to the peer and to the user."""
        frames = guest.poll_frames()
        if frames:
            self._control.append(guest.run(guest.tunnel.wrap_login(frames)))
        self._events += guest.poll_events()


def _size(run: Run) -> int:
    return sum(map(len, run.datagrams))
