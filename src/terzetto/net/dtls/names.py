"""Whether a certificate is for the host we wanted (RFC 6125): its subject alternative names decide."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

__all__ = ["as_ip_address", "is_for", "names_of"]


def as_ip_address(host: str) -> IPv4Address | IPv6Address | None:
    """*host* as a numeric address, without its zone; None when it is a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether *certificate* is for *host*, a name or a numeric address."""
    names = _alternative_names(certificate)
    if names is None:
        return False
    address = as_ip_address(host)
    if address is not None:
        return address in names.get_values_for_type(x509.IPAddress)
    wanted = host.lower().rstrip(".")
    return any(_matches(pattern.lower(), wanted) for pattern in names.get_values_for_type(x509.DNSName))


def names_of(certificate: x509.Certificate) -> list[str]:
    """Whom a certificate is for, for a message."""
    names = _alternative_names(certificate)
    if names is None:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return names.get_values_for_type(x509.DNSName) + addresses


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        # A ValueError is an extension that cannot be parsed: as good as none.
        return None


def _matches(pattern: str, wanted: str) -> bool:
    if pattern == wanted:
        return True
    # A star stands for one whole label, the first, and never for a top-level domain.
    star, _, rest = pattern.partition(".")
    _label, _, parent = wanted.partition(".")
    return star == "*" and "." in rest and parent == rest
