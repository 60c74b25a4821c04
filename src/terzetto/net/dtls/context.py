"""Options made into an OpenSSL context, and the judgement on a peer's certificate."""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from terzetto.errors import AuthenticationFailed, InvalidOption, MissingExtra, TerzettoError
from terzetto.net.dtls.names import as_ip_address, is_for, names_of
from terzetto.net.dtls.options import CipherSuite, DtlsOptions, read_pem
from terzetto.primitives.datagrams import Address

if TYPE_CHECKING:
    from types import ModuleType

    from OpenSSL import SSL, crypto

__all__ = ["DtlsContext", "PeerCheck", "fingerprint_of"]

_DTLS_1_2: Final = 0xFEFD

# What openssl-verification-options(1) calls them, in our words. Any other code is shown as it is.
_FAILURES: Final = {
    2: "it was signed by an authority that we do not know",
    7: "its signature is not that of the authority it names",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and we do not know it",
    19: "its chain ends in an authority that we do not know",
    20: "it was signed by an authority that we do not know",
    21: "it was signed by an authority that we do not know",
    23: "it was revoked",
    26: "it is not meant for this end of a connection",
}
_HINTS: Final = {
    9: "look at this machine's clock",
    10: "the peer must renew it, unless this machine's clock is wrong",
    18: "give its fingerprint, or the certificate itself as ca",
    19: "give its authority as ca, or its fingerprint",
    20: "give its authority as ca, or its fingerprint",
    21: "give its authority as ca, or its fingerprint",
}


def import_openssl() -> tuple[ModuleType, ModuleType]:
    """pyOpenSSL's ``SSL`` and ``crypto``; `MissingExtra` when it is not installed."""
    try:
        from OpenSSL import SSL, crypto
    except ImportError as exc:
        raise MissingExtra(
            "DTLS needs pyOpenSSL, which is not installed", hint='pip install "terzetto[dtls]"'
        ) from exc
    return SSL, crypto


def fingerprint_of(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate's DER form, as hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


class PeerCheck:
    """Judges the certificates of one peer, and remembers why it said no."""

    __slots__ = ("_fingerprints", "_name", "_peer", "failure", "is_our_own")

    def __init__(self, peer: Address, fingerprints: tuple[str, ...], name: str | None) -> None:
        self._peer = peer
        self._fingerprints = fingerprints
        self._name = name
        self.failure: TerzettoError | None = None
        self.is_our_own = False
        """Whether OpenSSL had nothing against it, and so does not know what to tell the peer."""

    def judge(self, certificate: x509.Certificate, error: int, depth: int) -> bool:
        """OpenSSL's question about each certificate of a chain, and each thing that is wrong with one."""
        problem: tuple[str, str] | None = None
        if self._fingerprints:
            # Pinned: who signed it, and until when, does not matter; only the peer's own certificate does.
            if depth > 0:
                return True
            problem = self._compare(certificate)
        elif error:
            text = _FAILURES.get(error, f"verification error {error}")
            problem = text, _HINTS.get(error, "")
        elif depth == 0 and self._name is not None and not is_for(certificate, self._name):
            found = ", ".join(names_of(certificate)) or "nobody in particular"
            problem = f"it is for {found}, not for {self._name}", "set server_name if that is whom you wanted"
        if problem is None:
            return True
        self.failure = AuthenticationFailed(
            f"the certificate of {self._peer} is not accepted: {problem[0]}", hint=problem[1]
        )
        self.is_our_own = not error
        return False

    def _compare(self, certificate: x509.Certificate) -> tuple[str, str] | None:
        found = fingerprint_of(certificate)
        if any(compare_digest(found, each) for each in self._fingerprints):
            return None
        return (
            f"its SHA-256 fingerprint is {found}, which is not one of those expected",
            "somebody may be listening in, unless the certificate was renewed",
        )


class DtlsContext:
    """What all associations of one endpoint share; everything wrong with the options is said when it is made."""

    def __init__(self, options: DtlsOptions, *, is_server: bool) -> None:
        ssl, crypto = import_openssl()
        self.options = options
        self.is_server = is_server
        self._ssl = ssl
        self._asks = options.verify == "mutual" or (options.verify == "server" and not is_server)
        if is_server and options.certificate is None:
            raise InvalidOption("certificate is missing: the listening end of DTLS must have one")
        if options.verify == "mutual" and options.certificate is None:
            raise InvalidOption("certificate is missing: with verify='mutual' both ends must have one")
        if options.fingerprints and not self._asks:
            raise InvalidOption(
                "fingerprints of clients need verify='mutual', or no client shows a certificate"
            )
        context: SSL.Context = ssl.Context(ssl.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        # A memory BIO has no MTU to be asked for. Tickets and cached sessions would let a peer back in without its
        # certificate being looked at.
        context.set_options(
            ssl.OP_NO_QUERY_MTU
            | ssl.OP_NO_RENEGOTIATION
            | ssl.OP_NO_TICKET
            | ssl.OP_COOKIE_EXCHANGE
            | ssl.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_session_cache_mode(ssl.SESS_CACHE_OFF)
        context.set_cipher_list(_cipher_list(options.cipher_suites))
        # Cookies are ours to bake and to check (`CookieJar`); whatever OpenSSL gets to see has passed.
        context.set_cookie_generate_callback(lambda _connection: b"")
        context.set_cookie_verify_callback(lambda _connection, _cookie: True)
        if options.certificate is not None:
            _show_certificate(context, options)
        if self._asks:
            _trust(context, crypto, options)
            context.set_verify(ssl.VERIFY_PEER | ssl.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
        self._context = context

    def open_connection(self, peer: Address) -> tuple[SSL.Connection, PeerCheck]:
        """A fresh connection over memory, and who judges its peer's certificate."""
        options = self.options
        connection: SSL.Connection = self._ssl.Connection(self._context, None)
        name = None
        if self.is_server:
            connection.set_accept_state()
        else:
            name = options.server_name or peer.host
            connection.set_connect_state()
            if as_ip_address(name) is None:
                connection.set_tlsext_host_name(name.encode("idna"))
        check = PeerCheck(peer, options.fingerprints, name)
        connection.set_app_data(check)
        connection.set_ciphertext_mtu(options.mtu)
        return connection, check


def _judge(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, _accepted: int
) -> bool:
    check = connection.get_app_data()
    assert isinstance(check, PeerCheck)
    return check.judge(certificate.to_cryptography(), error, depth)


def _cipher_list(suites: tuple[CipherSuite, ...]) -> bytes:
    names = ":".join(suite.value for suite in suites)
    # OpenSSL lets nobody go without encryption who does not say so twice.
    return (names + ":@SECLEVEL=0" if CipherSuite.RSA_NULL_SHA256 in suites else names).encode()


def _show_certificate(context: SSL.Context, options: DtlsOptions) -> None:
    ssl, _ = import_openssl()
    assert options.certificate is not None
    pem = read_pem("certificate", options.certificate)
    key_pem = pem if options.private_key is None else read_pem("private_key", options.private_key)
    password = options.private_key_password
    try:
        own, *others = x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise InvalidOption("certificate holds no certificate in PEM form") from exc
    try:
        key = load_pem_private_key(key_pem, None if password is None else password.encode())
    except (TypeError, ValueError) as exc:
        raise InvalidOption(
            "private_key holds no key in PEM form that we can read", hint="see private_key_password"
        ) from exc
    try:
        context.use_certificate(own)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(key)  # type: ignore[arg-type]
        context.check_privatekey()
    except (ssl.Error, TypeError) as exc:
        raise InvalidOption(f"certificate and private_key do not go together: {exc}") from exc


def _trust(context: SSL.Context, crypto: ModuleType, options: DtlsOptions) -> None:
    if options.fingerprints:
        return
    if options.ca is None:
        context.set_default_verify_paths()
        return
    try:
        authorities = x509.load_pem_x509_certificates(read_pem("ca", options.ca))
    except ValueError as exc:
        raise InvalidOption("ca holds no certificate in PEM form") from exc
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
