"""OCSP: the question, the judgement of an answer, and answers kept fresh for stapling.

A response proves something only where it speaks of this certificate, is signed by the certificate's issuer or by
somebody that issuer appointed, and is not older than a week [V2G20-1021].
"""

from __future__ import annotations

import datetime
import enum
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from certs import reading
from certs.errors import CertsError, demand_aware

MAX_RESPONSE: Final = 16_384
MAX_WINDOW: Final = datetime.timedelta(days=7)
"""Longest time between thisUpdate and nextUpdate."""
SKEW: Final = datetime.timedelta(minutes=5)
"""How far the responder's clock may be ahead of ours."""
ALWAYS: Final = datetime.datetime.min.replace(tzinfo=datetime.UTC)
NEVER: Final = datetime.datetime.max.replace(tzinfo=datetime.UTC)
"""The earliest and the latest time there is."""
_HASHES: Final = MappingProxyType(
    {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
)
_SIGNED_WITH: Final = ("sha256", "sha384", "sha512")


class Revocation(enum.Enum):
    """What is known about a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    INVALID = "invalid"  # there is an answer, but it proves nothing
    UNRELATED = "unrelated"  # there is an answer, about something else
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Status:
    """The judgement of an answer. `since` and `until` bound its validity where it is GOOD or REVOKED."""

    kind: Revocation
    detail: str = ""
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None


def _invalid(detail: str) -> Status:
    return Status(Revocation.INVALID, detail)


def request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """An OCSP request (DER) about one certificate, to be posted as application/ocsp-request."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
    return builder.build().public_bytes(Encoding.DER)


def responder_url(certificate: x509.Certificate) -> str:
    """Where a certificate says its revocation can be asked; empty where it does not."""
    access = reading.extension(certificate, x509.AuthorityInformationAccess)
    for entry in access.value if access is not None else ():
        is_url = isinstance(entry.access_location, x509.UniformResourceIdentifier)
        if entry.access_method == AuthorityInformationAccessOID.OCSP and is_url:
            return str(entry.access_location.value)
    return ""


def check(
    response: bytes, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime
) -> Status:
    """What `response` (DER, as stapled or fetched) proves about `certificate` at a time. Never raises for its content."""
    at = demand_aware(at)
    if not response:
        return Status(Revocation.MISSING, "there is no OCSP response")
    if len(response) > MAX_RESPONSE:
        return _invalid(f"{len(response)} octets, more than {MAX_RESPONSE}")
    try:
        return reading.guarded("OCSP response", lambda: _judge(response, certificate, issuer, at))
    except CertsError as error:
        return _invalid(error.cause)


def _judge(
    octets: bytes, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime
) -> Status:
    response = ocsp.load_der_ocsp_response(octets)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return _invalid(f"the responder answers {response.response_status.name.lower()}")
    single = next((each for each in response.responses if _speaks_of(each, certificate, issuer)), None)
    if single is None:
        return Status(Revocation.UNRELATED, "it speaks of another certificate")
    problem = _signature_problem(response, issuer, at) or _time_problem(single, at)
    if problem:
        return _invalid(problem)
    return _state(single)


def _state(single: Any) -> Status:
    since, until = single.this_update_utc, single.next_update_utc
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        return Status(Revocation.REVOKED, f"revoked on {single.revocation_time_utc}", since, until)
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return _invalid("the responder does not know the certificate")
    return Status(Revocation.GOOD, "", since, until)


def _speaks_of(single: Any, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Computed again from the issuer we know: the response's own words are not believed."""
    digest: Callable[..., Any] | None = _HASHES.get(single.hash_algorithm.name)
    if digest is None or single.serial_number != certificate.serial_number:
        return False
    name_hash = digest(issuer.subject.public_bytes(), usedforsecurity=False).digest()
    key_hash = digest(reading.key_octets(issuer.public_key()), usedforsecurity=False).digest()
    return bool(single.issuer_name_hash == name_hash and single.issuer_key_hash == key_hash)


def _time_problem(single: Any, at: datetime.datetime) -> str:
    since, until = single.this_update_utc, single.next_update_utc
    if since > at + SKEW:
        return f"its time {since} lies in the future"
    if until is None:
        return "it does not tell how long it is valid"
    if until < at:
        return f"it was valid until {until}"
    if until - since > MAX_WINDOW:
        return "it claims to be valid for more than a week"
    return ""


def _signature_problem(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime.datetime) -> str:
    if _signed_by(response, issuer.public_key()):
        return ""
    for delegate in response.certificates[:4]:
        if _signed_by(response, delegate.public_key()):
            return _delegate_problem(delegate, issuer, at)
    return "its signature is not the issuer's"


def _delegate_problem(delegate: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime) -> str:
    if not reading.issued_by(delegate, issuer):
        return "its signer was not appointed by the issuer of the certificate"
    purposes = reading.extension(delegate, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes.value:
        return "its signer may not sign OCSP responses"
    usage = reading.extension(delegate, x509.KeyUsage)
    if usage is None or not usage.value.digital_signature:
        return "its signer may not sign"
    if not delegate.not_valid_before_utc <= at <= delegate.not_valid_after_utc:
        return "its signer's certificate is not valid now"
    return ""


def _signed_by(response: ocsp.OCSPResponse, key: Any) -> bool:
    signature, signed = response.signature, response.tbs_response_bytes
    if isinstance(key, ed448.Ed448PublicKey):
        return reading.holds(lambda: key.verify(signature, signed))
    algorithm = response.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    return algorithm.name in _SIGNED_WITH and reading.holds(
        lambda: key.verify(signature, signed, ec.ECDSA(algorithm))
    )


@dataclass(frozen=True, slots=True)
class Query:
    """A response that is due: post `body` to `url` and hand the answer to `StapleCache.store`."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    url: str
    body: bytes


class StapleCache:
    """The OCSP responses a station staples, one for each certificate of a chain.

    It asks for a new response at half of the old one's validity, and keeps the last good one until that ends: a
    responder that is out of reach for a while does not take a station out of service.
    """

    def __init__(self, chain: Iterable[x509.Certificate], issuers: Iterable[x509.Certificate]) -> None:
        self._pairs = tuple(zip(chain, issuers, strict=True))
        self._kept: dict[int, tuple[bytes, Status]] = {}

    def due(self, at: datetime.datetime) -> tuple[Query, ...]:
        """What should be asked now; certificates that name no responder are left out."""
        wanted = [i for i in range(len(self._pairs)) if self._due_at(i) <= demand_aware(at)]
        queries = (
            Query(*self._pairs[i], responder_url(self._pairs[i][0]), request(*self._pairs[i])) for i in wanted
        )
        return tuple(query for query in queries if query.url)

    def due_at(self) -> datetime.datetime:
        """When the next response is due; the earliest time there is where one is missing, the latest for nobody to ask."""
        asked = (i for i, (certificate, _) in enumerate(self._pairs) if responder_url(certificate))
        return min(map(self._due_at, asked), default=NEVER)

    def store(self, query: Query, response: bytes, at: datetime.datetime) -> Status:
        """Judge an answer; a good one, or one that says revoked, replaces what is kept, unless that is newer.

        A response that is valid still, but was given before the one that is kept, is a replay: it proves nothing.
        """
        index = self._pairs.index((query.certificate, query.issuer))
        status = check(response, query.certificate, query.issuer, at)
        if status.kind not in (Revocation.GOOD, Revocation.REVOKED):
            return status
        _, known = self._kept.get(index, (b"", None))
        if (
            known is not None
            and known.since is not None
            and status.since is not None
            and status.since < known.since
        ):
            return _invalid(f"it is older than the one that is kept: {status.since}")
        self._kept[index] = (response, status)
        return status

    def staples(self, at: datetime.datetime) -> tuple[bytes, ...]:
        """One response for each certificate, leaf first; empty octets where none is valid."""
        return tuple(self._valid(i, demand_aware(at)) for i in range(len(self._pairs)))

    def _valid(self, index: int, at: datetime.datetime) -> bytes:
        response, status = self._kept.get(index, (b"", None))
        return response if status is not None and status.until is not None and at <= status.until else b""

    def _due_at(self, index: int) -> datetime.datetime:
        _, status = self._kept.get(index, (b"", None))
        if status is None or status.since is None or status.until is None:
            return ALWAYS
        return status.since + (status.until - status.since) / 2
