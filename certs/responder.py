"""An OCSP responder as a function, for tests and laboratories."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from certs import reading
from certs.errors import CertsError, demand_aware
from certs.issue import Authority, digest_of
from certs.ocsp import MAX_WINDOW


@dataclass(frozen=True, slots=True)
class Responder:
    """Answers for what `authority` issued. `signer` is who signs, None: the authority itself.

    `known` are the certificates it answers for; about others it says "unknown". `revoked`: serial -> since when.
    """

    authority: Authority
    known: tuple[x509.Certificate, ...]
    revoked: Mapping[int, datetime.datetime] = field(default_factory=lambda: MappingProxyType({}))
    signer: Authority | None = None
    valid: datetime.timedelta = MAX_WINDOW

    def revoke(self, certificate: x509.Certificate, at: datetime.datetime) -> Responder:
        """A responder that says so."""
        revoked = MappingProxyType({**self.revoked, certificate.serial_number: demand_aware(at)})
        return dataclasses.replace(self, revoked=revoked)

    def answer(self, request: bytes, at: datetime.datetime) -> bytes:
        """The response (DER) to a request (DER); an error response where the request cannot be read."""
        try:
            asked = reading.guarded("OCSP request", lambda: _read(request))
        except CertsError:
            return _error(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        serial, algorithm = asked
        found = next((each for each in self.known if each.serial_number == serial), None)
        if found is None:
            return _error(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        # Askers look for the words they asked with: the same hash names the certificate in the answer.
        return self.about(found, at, algorithm)

    def about(
        self,
        certificate: x509.Certificate,
        at: datetime.datetime,
        algorithm: hashes.HashAlgorithm | None = None,
    ) -> bytes:
        """The response (DER) about one certificate of the authority, named by a hash (None: SHA-256)."""
        at = demand_aware(at)
        since = self.revoked.get(certificate.serial_number)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate,
            issuer=self.authority.certificate,
            algorithm=algorithm or hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.GOOD if since is None else ocsp.OCSPCertStatus.REVOKED,
            this_update=at,
            next_update=at + self.valid,
            revocation_time=since,
            revocation_reason=None,
        )
        signer = self.signer or self.authority
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.signer is not None:
            builder = builder.certificates([self.signer.certificate])
        return builder.sign(signer.key, digest_of(signer.key)).public_bytes(Encoding.DER)


def _read(request: bytes) -> tuple[int, hashes.HashAlgorithm]:
    asked = ocsp.load_der_ocsp_request(request)
    return asked.serial_number, asked.hash_algorithm


def _error(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
