"""An EST server as a function, for tests and laboratories: it issues from a `TestPki`."""

from __future__ import annotations

import base64
import datetime
import hmac
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from certs import est, reading
from certs.curves import curve_of
from certs.errors import CertsError
from certs.est import HttpRequest, HttpResponse
from certs.issue import read_request
from certs.pki import TestPki
from certs.profiles import Role

_PREFIX: Final = "/.well-known/est/"


@dataclass(frozen=True, slots=True)
class EstResponder:
    """Issues leaves of one role. Clients show a certificate of the PKI, or the password (empty: only certificates).

    `manual` answers first requests with "later", as a server does whose operator decides.
    """

    pki: TestPki
    role: Role
    user: str = "station"
    password: str = field(default="", repr=False)
    manual: bool = False
    attributes: bytes = b""

    def answer(
        self, request: HttpRequest, at: datetime.datetime, peer: x509.Certificate | None = None
    ) -> HttpResponse:
        """The response to a request of a client that TLS knows as `peer`, None where it showed no certificate."""
        operation = request.path.removeprefix(_PREFIX) if request.path.startswith(_PREFIX) else ""
        if request.method == "GET" and operation == "cacerts":
            return self._bag(self._above())
        if request.method == "GET" and operation == "csrattrs":
            body = base64.b64encode(self.attributes)
            return HttpResponse(200, body, content_type=est.ATTRIBUTES) if body else HttpResponse(204)
        if request.method != "POST" or operation not in ("simpleenroll", "simplereenroll"):
            return HttpResponse(404, b"no such operation")
        if peer is None and not self._knows(request):
            return HttpResponse(401, b"show a certificate or a password")
        try:
            return self._enrolled(request.body, at, peer if operation == "simplereenroll" else None)
        except CertsError as error:
            return HttpResponse(400, str(error).encode("ascii", "replace"))

    def _enrolled(self, body: bytes, at: datetime.datetime, renewed: x509.Certificate | None) -> HttpResponse:
        request = read_request(est.from_base64(body, "certification request"))
        if curve_of(request.public_key()) is not self.pki.curve:
            raise CertsError("certification request", f"the key has to be on {self.pki.curve.name}")
        if renewed is not None and renewed.subject != request.subject:
            raise CertsError("certification request", "a renewal keeps its subject")
        if renewed is None and self.manual:
            return HttpResponse(202, retry_after="30")
        common = reading.common_name(request.subject)
        return self._bag(self.pki.certify(self.role, common, request.public_key(), at))

    def _above(self) -> tuple[x509.Certificate, ...]:
        profile = self.pki.rules.profile(self.role)
        assert profile.issuer is not None, "leaves have an issuer"
        return self.pki.authorities[profile.issuer].shown

    def _knows(self, request: HttpRequest) -> bool:
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        given = dict(request.headers).get("Authorization", "")
        return bool(self.password) and hmac.compare_digest(given.encode(), f"Basic {credentials}".encode())

    def _bag(self, certificates: tuple[x509.Certificate, ...]) -> HttpResponse:
        der = pkcs7.serialize_certificates(list(certificates), Encoding.DER)
        return HttpResponse(200, base64.encodebytes(der), content_type=est.CERTIFICATES)
