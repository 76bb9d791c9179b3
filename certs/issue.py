"""Issuing: a `Draft` says what a certificate will say, `sign` makes it.

Everything is a value: to issue something unusual, `dataclasses.replace` the draft. Times are given; serial
numbers and keys come from the operating system.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID, ObjectIdentifier

from certs import agreement, reading
from certs.curves import PrivateKey, curve_of
from certs.errors import CertsError, demand_aware
from certs.profiles import Profile, Rules, Usages

BACKDATED: Final = datetime.timedelta(hours=1)
"""How much earlier than "now" a certificate begins: the clocks of cars and stations differ."""
DEFAULT_OCSP: Final = "http://ocsp.invalid/"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that issues others. `chain` are the certificates above it, the root left out.

    For a root `chain` is empty, and its own certificate is not part of what its leaves show.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def shown(self) -> tuple[x509.Certificate, ...]:
        """What a leaf issued here sends behind its own certificate."""
        is_root = self.certificate.subject == self.certificate.issuer
        return () if is_root else (self.certificate, *self.chain)


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate to be.

    `basic` None leaves the basic constraints out, `usage` None the key usage, `ocsp` and `crl` empty their pointers.
    `critical` marks extensions that are not critical by themselves. `digest` None: the one of the issuer's curve.
    `alternate` is the key that agrees where `public_key` cannot. `extra` are further extensions with their criticality. `repeatable`: serial number and signature follow from keys and
    content, for simulations that have to repeat; otherwise the number is random, as it should be.
    """

    subject: x509.Name
    public_key: Any
    not_before: datetime.datetime
    not_after: datetime.datetime
    basic: x509.BasicConstraints | None
    usage: Usages | None
    extended: tuple[ObjectIdentifier, ...] = ()
    ocsp: str = DEFAULT_OCSP
    crl: str = ""
    short_key_id: bool = True
    critical: frozenset[ObjectIdentifier] = frozenset({ExtensionOID.EXTENDED_KEY_USAGE})
    alternate: x448.X448PublicKey | None = None
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    digest: hashes.SHA256 | hashes.SHA512 | None = None
    repeatable: bool = False


def name(common: str, organisation: str = "", domain: str = "") -> x509.Name:
    """A subject: CN, O and DC, those that are not empty; CertsError where a part is too long."""
    parts = (
        (NameOID.COMMON_NAME, common),
        (NameOID.ORGANIZATION_NAME, organisation),
        (NameOID.DOMAIN_COMPONENT, domain),
    )
    return reading.guarded(
        f"subject {common[:80]!r}",
        lambda: x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text]),
    )


def draft(
    profile: Profile,
    rules: Rules,
    common: str,
    public_key: Any,
    at: datetime.datetime,
    organisation: str,
    issuer: Authority | None = None,
) -> Draft:
    """A certificate as the profile of its role wants it, valid from `at` on and not longer than its issuer."""
    at = demand_aware(at)
    until = at + datetime.timedelta(days=profile.days)
    return Draft(
        name(common, organisation, profile.domain),
        public_key,
        at - BACKDATED,
        until if issuer is None else min(until, issuer.certificate.not_valid_after_utc),
        x509.BasicConstraints(ca=profile.ca, path_length=profile.path_length),
        profile.usage,
        (profile.extended,) if profile.extended else (),
        ocsp="" if profile.ca and profile.issuer is None else DEFAULT_OCSP,
        short_key_id=rules.short_key_id,
    )


def sign(wanted: Draft, issuer: Authority) -> x509.Certificate:
    """The certificate."""
    issuer_id = _key_id_of(issuer.certificate, short=wanted.short_key_id)
    return _build(wanted, issuer.certificate.subject, issuer.key, issuer_id)


def self_sign(wanted: Draft, key: PrivateKey) -> Authority:
    """A root."""
    issuer_id = key_id(key.public_key(), short=wanted.short_key_id)
    return Authority(_build(wanted, wanted.subject, key, issuer_id), key)


def request(subject: x509.Name, key: PrivateKey) -> bytes:
    """A certification request (PKCS#10, DER), signed with the key it asks a certificate for."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, digest_of(key)).public_bytes(Encoding.DER)


def read_request(der: bytes) -> x509.CertificateSigningRequest:
    """A certification request whose signature shows that the sender has the key; CertsError otherwise."""
    what = "certification request"
    if len(der) > reading.MAX_OCTETS:
        raise CertsError(what, f"{len(der)} octets, more than {reading.MAX_OCTETS}")
    found = reading.guarded(what, lambda: x509.load_der_x509_csr(der))
    if not reading.guarded(what, lambda: found.is_signature_valid):
        raise CertsError(what, "its signature is wrong: the sender does not have the key")
    reading.guarded(what, lambda: (found.subject, found.public_key()))
    return found


def digest_of(key: Any) -> Any:
    """The hash a key signs certificates with; None for Ed448. CertsError for keys of no curve of ours."""
    curve = curve_of(key)
    if curve is None:
        raise CertsError("key", "of no curve that ISO 15118 knows")
    return curve.digest


def key_id(public_key: Any, *, short: bool) -> bytes:
    """The subject key identifier: SHA-1 of the key (20 octets), or 0100 and its last 60 bits (8 octets).

    The short form is the one that ISO 15118-20 builds the authenticated data of a contract key from [V2G20-2492].
    """
    # The identifier is a name, not a protection: SHA-1 is what RFC 5280 wants.
    digest = hashlib.sha1(reading.key_octets(public_key), usedforsecurity=False).digest()
    return bytes([0x40 | digest[12] & 0x0F]) + digest[13:] if short else digest


def _key_id_of(found: x509.Certificate, *, short: bool) -> bytes:
    own = reading.extension(found, x509.SubjectKeyIdentifier)
    return own.value.digest if own is not None else key_id(found.public_key(), short=short)


def _build(wanted: Draft, issuer: x509.Name, key: PrivateKey, issuer_id: bytes) -> x509.Certificate:
    what = f"certificate for {reading.common_name(wanted.subject)!r}"
    builder = reading.guarded(what, lambda: _filled(wanted, issuer, issuer_id))
    digest = digest_of(key) if wanted.digest is None else wanted.digest
    if wanted.repeatable and isinstance(key, ec.EllipticCurvePrivateKey):
        with contextlib.suppress(UnsupportedAlgorithm):  # an old library signs in its own way
            return builder.sign(key, digest, ecdsa_deterministic=True)
    return builder.sign(key, digest)


def _serial(wanted: Draft, issuer_id: bytes) -> int:
    if not wanted.repeatable:
        return x509.random_serial_number()
    begins = wanted.not_before.isoformat().encode()
    content = (issuer_id, begins, wanted.subject.public_bytes(), reading.key_octets(wanted.public_key))
    return 1 + int.from_bytes(hashlib.sha256(b"".join(content)).digest()[:16], "big")


def _filled(wanted: Draft, issuer: x509.Name, issuer_id: bytes) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(wanted.subject)
        .issuer_name(issuer)
        .public_key(wanted.public_key)
        .serial_number(_serial(wanted, issuer_id))
        .not_valid_before(wanted.not_before)
        .not_valid_after(wanted.not_after)
    )
    for extension, critical in _extensions(wanted, issuer_id):
        builder = builder.add_extension(extension, critical or extension.oid in wanted.critical)
    return builder


def _extensions(wanted: Draft, issuer_id: bytes) -> Sequence[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wanted.basic is not None:
        found.append((wanted.basic, True))
    if wanted.usage is not None:
        found.append((_usage(wanted.usage), True))
    own_id = key_id(wanted.public_key, short=wanted.short_key_id)
    found.append((x509.SubjectKeyIdentifier(own_id), False))
    found.append((x509.AuthorityKeyIdentifier(issuer_id, None, None), False))
    if wanted.ocsp:
        where = x509.UniformResourceIdentifier(wanted.ocsp)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if wanted.crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(wanted.crl)], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    if wanted.extended:
        found.append((x509.ExtendedKeyUsage(wanted.extended), False))
    if wanted.alternate is not None:
        found.append((agreement.extension(wanted.alternate), False))
    return [*found, *wanted.extra]


def _usage(usages: Usages) -> x509.KeyUsage:
    names = {usage.value for usage in usages}
    return x509.KeyUsage(**{flag: flag in names for flag in _FLAGS})


_FLAGS: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
