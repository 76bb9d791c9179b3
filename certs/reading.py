"""Reading certificates from strangers: everything that can fail fails here, as `CertsError`.

The parser behind reads lazily, so a broken extension would otherwise show only where it is looked at.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.errors import CertsError

MAX_OCTETS: Final = 16_384
"""No certificate is looked at beyond this, whatever its protocol allows; post-quantum ones still fit."""
MAX_FILE: Final = 262_144
"""A bundle of roots is smaller than this."""

T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)


def guarded(what: str, read: Callable[[], T]) -> T:
    """`read()`, whose failures become CertsError: the border between octets of strangers and the rest."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what the parser only warns of is malformed too
            return read()
    except CertsError:
        raise
    except Exception as error:  # noqa: BLE001 - the exceptions of the parser have no base of their own
        # Its text may be long, and a chain of exceptions may hold what it was fed with.
        raise CertsError(what, str(error)[:200] or type(error).__name__) from None


def holds(verify: Callable[[], object]) -> bool:
    """Whether a verification goes through; whatever it raises is a no."""
    try:
        verify()
    except Exception:  # noqa: BLE001 - see `guarded`
        return False
    return True


def certificate(der: bytes, what: str = "certificate") -> x509.Certificate:
    """One DER certificate, read to its last extension."""
    if len(der) > MAX_OCTETS:
        raise CertsError(what, f"{len(der)} octets, more than {MAX_OCTETS}")
    return guarded(what, lambda: _touched(x509.load_der_x509_certificate(der)))


def _touched(found: x509.Certificate) -> x509.Certificate:
    """Every lazily read part of a certificate, once."""
    parts: tuple[Any, ...] = (
        found.version,
        found.subject,
        found.issuer,
        found.extensions,
        found.public_key(),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        found.signature_algorithm_oid,
    )
    if len(parts[3]) > 32:
        raise ValueError("more than 32 extensions")
    return found


def certificates(text: bytes, what: str = "certificates") -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file, in their order."""
    if len(text) > MAX_FILE:
        raise CertsError(what, f"{len(text)} octets, more than {MAX_FILE}")
    if b"-----BEGIN" not in text:
        return (certificate(text, what),)
    found = guarded(what, lambda: x509.load_pem_x509_certificates(text))
    return tuple(certificate(der(each), what) for each in found)


def der(found: x509.Certificate) -> bytes:
    """The octets of a certificate."""
    return found.public_bytes(Encoding.DER)


def pem(found: Iterable[x509.Certificate]) -> bytes:
    """A PEM file of certificates, in their order."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def issued_by(found: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer`'s name and key made this certificate."""
    return holds(lambda: found.verify_directly_issued_by(issuer))


def in_order(found: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Certificates from the leaf upwards, by who issued whom; what belongs to no path comes last.

    A bag of certificates (PKCS#7) does not keep its order.
    """
    left = list(found)
    ordered: list[x509.Certificate] = []
    while left:
        issuers = [each for each in left if not any(issued_by(o, each) for o in left if o is not each)]
        head = (issuers or left)[0]
        while head is not None:
            left.remove(head)
            ordered.append(head)
            above = [each for each in left if issued_by(ordered[-1], each)]
            if not above:
                break
            head = above[0]
    return tuple(ordered)


def key_octets(public_key: Any) -> bytes:
    """The bits of a public key without its algorithm: what key identifiers and OCSP hash."""
    info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    algorithm = _content_start(info, 0)
    bits = algorithm + 2 + info[algorithm + 1]
    return bytes(info[_content_start(info, bits) + 1 :])  # behind the count of unused bits


def _content_start(encoded: bytes, at: int) -> int:
    length = encoded[at + 1]
    return at + 2 + (length & 0x7F if length & 0x80 else 0)


def extension(found: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    """An extension of a certificate, None where it has none."""
    try:
        return found.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def common_name(name: x509.Name) -> str:
    """The CN of a name; empty where there is none or the name has more than one."""
    values = [str(a.value) for a in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return values[0][:128] if len(values) == 1 else ""


def title(found: x509.Certificate) -> str:
    """A certificate for people: its CN, else its whole subject."""
    return (
        common_name(found.subject) or found.subject.rfc4514_string()[:128] or "a certificate without subject"
    )
