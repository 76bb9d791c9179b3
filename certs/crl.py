"""Certificate revocation lists: made for tests, judged for real, kept fresh."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs import reading
from certs.errors import CertsError, demand_aware
from certs.issue import Authority, digest_of
from certs.ocsp import ALWAYS, MAX_WINDOW, NEVER, SKEW, Revocation, Status

MAX_OCTETS: Final = 1_048_576


def issue(
    authority: Authority,
    revoked: Mapping[int, datetime.datetime],
    at: datetime.datetime,
    *,
    valid: datetime.timedelta = MAX_WINDOW,
    number: int = 1,
) -> bytes:
    """The list (DER) of what `authority` revoked: serial number -> since when."""
    at = demand_aware(at)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(at)
        .next_update(at + valid)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, since in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(demand_aware(since))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, digest_of(authority.key)).public_bytes(Encoding.DER)


def check(
    octets: bytes, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime
) -> Status:
    """What a list proves about `certificate` at a time. Never raises for its content.

    Delta lists and lists that others sign for the issuer prove nothing here.
    """
    at = demand_aware(at)
    if len(octets) > MAX_OCTETS:
        return Status(Revocation.INVALID, f"{len(octets)} octets, more than {MAX_OCTETS}")
    try:
        return reading.guarded("CRL", lambda: _judge(octets, certificate, issuer, at))
    except CertsError as error:
        return Status(Revocation.INVALID, error.cause)


def _judge(
    octets: bytes, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime
) -> Status:
    found = x509.load_der_x509_crl(octets)
    if found.issuer != issuer.subject:
        return Status(Revocation.UNRELATED, "it is another issuer's")
    problem = _problem(found, issuer, at)
    if problem:
        return Status(Revocation.INVALID, problem)
    since, until = found.last_update_utc, found.next_update_utc
    entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None:
        return Status(Revocation.REVOKED, f"revoked on {entry.revocation_date_utc}", since, until)
    return Status(Revocation.GOOD, "", since, until)


def _problem(found: x509.CertificateRevocationList, issuer: x509.Certificate, at: datetime.datetime) -> str:
    if any(extension.critical for extension in found.extensions):
        return "it is a partial or an indirect list"
    usage = reading.extension(issuer, x509.KeyUsage)
    if usage is None or not usage.value.crl_sign:
        return "the issuer may not sign lists"
    if not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return "its signature is not the issuer's"
    if found.next_update_utc is None or found.next_update_utc < at:
        return f"it was valid until {found.next_update_utc}"
    if found.last_update_utc > at + SKEW:
        return f"its time {found.last_update_utc} lies in the future"
    if found.next_update_utc - found.last_update_utc > MAX_WINDOW:
        return "it claims to be valid for more than a week"
    return ""


class ListCache:
    """The lists at some addresses, the newest of each. It asks for a new one at half of the old one's validity.

    Whose signature a list has to carry is not known before a chain is judged by it (`check`): what is looked at here is
    that it is a list, valid now, and not older than what is kept.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._urls = tuple(dict.fromkeys(urls))
        self._kept: dict[str, tuple[bytes, datetime.datetime, datetime.datetime]] = {}

    @property
    def kept(self) -> tuple[bytes, ...]:
        """Every list that is there (DER)."""
        return tuple(octets for octets, _, _ in self._kept.values())

    def due(self, at: datetime.datetime) -> tuple[str, ...]:
        """The addresses that should be asked now."""
        return tuple(url for url in self._urls if self._due_at(url) <= demand_aware(at))

    def due_at(self) -> datetime.datetime:
        """When the next list is due; the earliest time there is where one is missing, the latest for no addresses."""
        return min(map(self._due_at, self._urls), default=NEVER)

    def store(self, url: str, octets: bytes, at: datetime.datetime) -> str:
        """Keep a list that came from an address; why not, where it is of no use. Never raises for its content."""
        if len(octets) > MAX_OCTETS:
            return f"{len(octets)} octets, more than {MAX_OCTETS}"
        try:
            since, until = reading.guarded("CRL", lambda: _validity(octets))
        except CertsError as error:
            return error.cause
        if until is None or until < demand_aware(at):
            return f"it was valid until {until}"
        if since > at + SKEW:
            return f"its time {since} lies in the future"
        if until - since > MAX_WINDOW:
            return "it claims to be valid for more than a week"
        if url in self._kept and since < self._kept[url][1]:
            return f"it is older than the one that is kept: {since}"
        self._kept[url] = (octets, since, until)
        return ""

    def _due_at(self, url: str) -> datetime.datetime:
        if url not in self._kept:
            return ALWAYS
        _, since, until = self._kept[url]
        return since + (until - since) / 2


def _validity(octets: bytes) -> tuple[datetime.datetime, datetime.datetime | None]:
    found = x509.load_der_x509_crl(octets)
    return found.last_update_utc, found.next_update_utc
