"""Who is believed, who is not, and that both sides say why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from trio.testing import MockClock

from terzetto.errors import AuthenticationFailed, InvalidOption, UnsupportedOperation
from terzetto.net.dtls import DtlsEnded, DtlsEstablished, DtlsOptions
from terzetto.net.dtls.context import DtlsContext
from terzetto.net.dtls.names import is_for
from tests.net.dtls.identities import AUTHORITY, CAMERA, STUDIO, Identity, make_identity
from tests.net.dtls.worlds import CALLER, LISTENER, why_refused, world

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")

STRANGER = make_identity("stranger")
EXPIRED = make_identity("10.0.0.2", signed_by=AUTHORITY, days=(-9, -2))
EARLY = make_identity("10.0.0.2", signed_by=AUTHORITY, days=(2, 9))
ELSEWHERE = make_identity("elsewhere.example", "10.0.0.99", signed_by=AUTHORITY)
NAMELESS = make_identity(signed_by=AUTHORITY)
FORGED = make_identity("10.0.0.2", signed_by=make_identity("an authority", is_authority=True))


def shows(identity: Identity) -> dict[str, Any]:
    """Options that show *identity*."""
    return {"certificate": identity.pem, "private_key": identity.key_pem}


PINNED = {"ca": None, "fingerprints": (STRANGER.fingerprint,)}


@pytest.mark.parametrize(
    ("listener", "caller"),
    [
        pytest.param({}, {}, id="address called"),
        pytest.param({}, {"server_name": "studio"}, id="name"),
        pytest.param({}, {"server_name": "One.Studio.Example."}, id="wildcard"),
        pytest.param(shows(STRANGER), PINNED, id="pinned, self-signed, for another name"),
        pytest.param(
            shows(EXPIRED),
            {"ca": None, "fingerprints": (STRANGER.fingerprint, EXPIRED.fingerprint)},
            id="one of those pinned, expired",
        ),
        pytest.param(
            shows(STRANGER), {"ca": STRANGER.pem, "server_name": "stranger"}, id="its own authority"
        ),
        pytest.param(shows(FORGED), {"verify": "none", "ca": None}, id="nobody asks"),
    ],
)
async def test_this_listener_is_believed(
    autojump_clock: MockClock, listener: Mapping[str, Any], caller: Mapping[str, Any]
) -> None:
    async with world() as made:
        made.listen(**listener)
        calling = made.call(**caller)
        await calling.wait_established()
        calling.close()


@pytest.mark.parametrize(
    ("listener", "caller", "reason"),
    [
        pytest.param(shows(EXPIRED), {}, "it has expired", id="expired"),
        pytest.param(shows(EARLY), {}, "not valid yet", id="early"),
        pytest.param(shows(FORGED), {}, "signature is not that of the authority", id="forged"),
        pytest.param(shows(STRANGER), {}, "self-signed", id="self-signed"),
        pytest.param({}, {"ca": None}, "authority that we do not know", id="not one of the system's"),
        pytest.param(
            shows(ELSEWHERE), {}, "for elsewhere.example, 10.0.0.99, not for 10.0.0.2", id="address"
        ),
        pytest.param({}, {"server_name": "studio.example"}, "not for studio.example", id="wildcard's parent"),
        pytest.param(
            {}, {"server_name": "a.b.studio.example"}, "not for a.b.studio", id="two labels for a star"
        ),
        pytest.param(shows(NAMELESS), {}, "nobody in particular", id="no names"),
        pytest.param({}, PINNED, STUDIO.fingerprint, id="another fingerprint"),
    ],
)
async def test_this_listener_is_not_believed(
    autojump_clock: MockClock, listener: Mapping[str, Any], caller: Mapping[str, Any], reason: str
) -> None:
    async with world() as made:
        listening = made.listen(**listener)
        error = await why_refused(made.call(**caller))
        assert isinstance(error, AuthenticationFailed)
        assert reason in str(error)
        await trio.sleep(0.1)
        (ended,) = listening.poll_events()
        assert isinstance(ended, DtlsEnded)
        assert isinstance(ended.error, AuthenticationFailed)
        assert "does not accept our certificate" in str(ended.error)
        assert listening.peers() == []


async def test_both_ends_prove_themselves_when_asked_to(autojump_clock: MockClock) -> None:
    async with world() as made:
        listening = made.listen(verify="mutual", ca=AUTHORITY.pem)
        caller = made.call(verify="mutual", **shows(CAMERA))
        await caller.wait_established()
        await trio.sleep(0.1)
        (established,) = listening.poll_events()
        assert isinstance(established, DtlsEstablished)
        assert established.peer.fingerprint == CAMERA.fingerprint
        assert established.peer.certificate == CAMERA.certificate.public_bytes(Encoding.DER)
        caller.close()


@pytest.mark.parametrize(
    ("listener", "caller", "reason"),
    [
        pytest.param({"ca": AUTHORITY.pem}, shows(STRANGER), "self-signed", id="self-signed"),
        pytest.param({"ca": AUTHORITY.pem}, {}, "has shown no certificate", id="none"),
        pytest.param(PINNED, shows(CAMERA), CAMERA.fingerprint, id="another fingerprint"),
    ],
)
async def test_this_caller_is_not_believed_and_gets_no_session(
    autojump_clock: MockClock, listener: Mapping[str, Any], caller: Mapping[str, Any], reason: str
) -> None:
    async with world() as made:
        listening = made.listen(verify="mutual", **listener)
        error = await why_refused(made.call(**caller))
        assert "certificate" in str(error) or "handshake failure" in str(error)
        await trio.sleep(0.1)
        (ended,) = listening.poll_events()
        assert isinstance(ended, DtlsEnded)
        assert isinstance(ended.error, AuthenticationFailed)
        assert reason in str(ended.error)
        assert listening.peers() == []


async def test_a_pinned_caller_is_believed_whoever_signed_it(autojump_clock: MockClock) -> None:
    async with world() as made:
        made.listen(verify="mutual", **PINNED)
        caller = made.call(verify="mutual", **shows(STRANGER))
        await caller.wait_established()
        caller.close()


async def test_a_chain_is_shown_as_far_as_it_goes(autojump_clock: MockClock) -> None:
    between = make_identity("between", signed_by=AUTHORITY, is_authority=True)
    leaf = make_identity("10.0.0.2", signed_by=between)
    async with world() as made:
        made.listen(certificate=leaf.pem + between.pem, private_key=leaf.key_pem)
        caller = made.call()
        assert (await caller.wait_established()).fingerprint == leaf.fingerprint
        caller.close()


def test_files_texts_and_one_file_for_both_are_read(tmp_path: Path) -> None:
    both, locked = tmp_path / "both.pem", tmp_path / "locked.pem"
    both.write_bytes(STUDIO.pem + STUDIO.key_pem)
    encryption = BestAvailableEncryption(b"open sesame")
    locked.write_bytes(STUDIO.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    for options in (
        DtlsOptions(certificate=both),
        DtlsOptions(certificate=str(both), ca=str(both), verify="mutual"),
        DtlsOptions(certificate=STUDIO.pem, private_key=locked, private_key_password="open sesame"),
    ):
        DtlsContext(options, is_server=True)


@pytest.mark.parametrize(
    ("is_server", "changes", "reason"),
    [
        (True, {"certificate": None, "private_key": None}, "certificate is missing"),
        (False, {"verify": "mutual"}, "both ends must have one"),
        (True, {"private_key": CAMERA.key_pem}, "do not go together"),
        (True, {"private_key": b"nonsense"}, "no key in PEM form"),
        (True, {"certificate": b"nonsense"}, "no certificate in PEM form"),
        (True, {"certificate": "/nowhere/at/all.pem"}, "cannot be read"),
        (False, {"ca": b"nonsense"}, "ca holds no certificate"),
        (True, {"fingerprints": (STUDIO.fingerprint,)}, "verify='mutual'"),
    ],
)
def test_options_that_cannot_be_are_named_when_an_endpoint_is_made(
    is_server: bool, changes: Mapping[str, Any], reason: str
) -> None:
    options = attrs.evolve(LISTENER if is_server else CALLER, **changes)
    with pytest.raises(InvalidOption, match=reason):
        DtlsContext(options, is_server=is_server)


@pytest.mark.parametrize(
    "changes",
    [
        {"mtu": 100},
        {"mtu": 20_000},
        {"verify": "perhaps"},
        {"cipher_suites": ()},
        {"cipher_suites": ("AES",)},
        {"fingerprints": ("12:34",)},
        {"fingerprints": (STUDIO.fingerprint,), "verify": "none"},
        {"private_key": STUDIO.key_pem},
        {"idle_timeout": 0},
        {"retransmit_after": float("inf")},
        {"max_sessions": 0},
    ],
)
def test_values_that_no_option_can_have_are_refused(changes: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        DtlsOptions(**changes)


def test_pre_shared_keys_are_said_to_be_absent() -> None:
    with pytest.raises(UnsupportedOperation, match="pre-shared keys"):
        DtlsOptions(psk_identities={"camera": b"key"})


def test_options_keep_their_secrets() -> None:
    options = DtlsOptions(certificate=STUDIO.pem, private_key=b"the key", private_key_password="the password")
    assert "the key" not in repr(options)
    assert "the password" not in repr(options)


def test_names_are_compared_as_they_should_be() -> None:
    certificate = make_identity("*.example", "exact.host", "fe80::1", "*").certificate
    assert is_for(certificate, "EXACT.host")
    assert is_for(certificate, "fe80::1%eth0")
    assert not is_for(certificate, "fe80::2")
    assert not is_for(certificate, "anything.example"), "a star may not stand right below the top"
    assert not is_for(certificate, "anything")
