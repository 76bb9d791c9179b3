"""Enrolment over secure transport (RFC 7030): a station, a car maker or a provisioning service gets its certificates.

The client turns questions into HTTP requests and answers into certificates; a `Transport` carries them. `https` is one
over TLS from the standard library. Who the client is, is shown by TLS (its present certificate) or by a password.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from certs import reading
from certs.errors import CertsError

MAX_BODY: Final = 262_144
MAX_ATTRIBUTES: Final = 64
CERTIFICATES: Final = "application/pkcs7-mime"
REQUEST: Final = "application/pkcs10"
ATTRIBUTES: Final = "application/csrattrs"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `headers` may hold credentials and are not shown."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response. `retry_after` is the header of that name, empty where it was not sent."""

    status: int
    body: bytes = b""
    retry_after: str = ""
    content_type: str = ""


Transport = Callable[[HttpRequest], HttpResponse]
"""Carries a request to the server; CertsError where that fails."""


@dataclass(frozen=True, slots=True)
class CsrAttribute:
    """Something the server wants in a request: an object identifier, and values (DER) where it has some."""

    oid: str
    values: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """The server has not decided: ask again after so many seconds, with the same request."""

    retry_after_s: int


class EstClient:
    """Talks to one EST server. `label` chooses among several CAs of a server."""

    def __init__(self, transport: Transport, *, label: str = "", user: str = "", password: str = "") -> None:
        self._transport = transport
        self._base = "/.well-known/est" + (f"/{label}" if label else "")
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = (("Authorization", f"Basic {credentials}"),) if user else ()

    def ca_certificates(self) -> tuple[x509.Certificate, ...]:
        """What the server calls its CA certificates, lowest first. Trust in a root has to come from elsewhere."""
        response = self._ask(HttpRequest("GET", f"{self._base}/cacerts", headers=self._headers))
        return read_bag(_expected(response, "cacerts"), "cacerts")

    def csr_attributes(self) -> tuple[CsrAttribute, ...]:
        """What the server wants in a request; empty where it wants nothing in particular."""
        response = self._ask(HttpRequest("GET", f"{self._base}/csrattrs", headers=self._headers))
        if response.status in (204, 404):
            return ()
        return read_attributes(from_base64(_expected(response, "csrattrs"), "csrattrs"))

    def enrol(self, request: bytes) -> tuple[x509.Certificate, ...] | Pending:
        """A first certificate for a request (PKCS#10, DER): the leaf first, then what the server adds."""
        return self._enrol("simpleenroll", request)

    def re_enrol(self, request: bytes) -> tuple[x509.Certificate, ...] | Pending:
        """A new certificate in the place of the one that TLS shows; the subject has to be the same."""
        return self._enrol("simplereenroll", request)

    def _enrol(self, operation: str, request: bytes) -> tuple[x509.Certificate, ...] | Pending:
        headers = (("Content-Type", REQUEST), ("Content-Transfer-Encoding", "base64"), *self._headers)
        response = self._ask(
            HttpRequest("POST", f"{self._base}/{operation}", base64.encodebytes(request), headers)
        )
        if response.status == 202:
            return Pending(_seconds(response.retry_after))
        found = read_bag(_expected(response, operation), operation)
        wanted = reading.guarded(
            "certification request", lambda: x509.load_der_x509_csr(request).public_key()
        )
        ours = [each for each in found if each.public_key() == wanted]
        if len(ours) != 1:
            raise CertsError(
                f"EST {operation}", f"{len(ours)} certificates of our key in the answer, wanted is one"
            )
        return (ours[0], *(each for each in reading.in_order(found) if each != ours[0]))

    def _ask(self, request: HttpRequest) -> HttpResponse:
        response = self._transport(request)
        if len(response.body) > MAX_BODY:
            raise CertsError(f"EST {request.path}", f"an answer of more than {MAX_BODY} octets")
        return response


def _seconds(retry_after: str) -> int:
    """A date is allowed there too; then a minute is as good as any."""
    return min(int(retry_after), 86_400) if retry_after.isascii() and retry_after.isdigit() else 60


def _expected(response: HttpResponse, operation: str) -> bytes:
    """The body of a good answer."""
    if response.status == 200:
        return response.body
    text = response.body[:200].decode("ascii", "replace").strip()
    next_steps = {
        401: "Show a client certificate or a password",
        403: "Ask the server's operator for permission",
    }
    raise CertsError(
        f"EST {operation}",
        f"the server answers {response.status}: {text!r}",
        next_step=next_steps.get(response.status, "The server's log tells more"),
    )


def from_base64(text: bytes, what: str) -> bytes:
    """Base64 as servers send it: with or without line breaks and PEM armour."""
    lines = [line for line in text.splitlines() if not line.startswith(b"-----")]
    return reading.guarded(what, lambda: base64.b64decode(b"".join(b"".join(lines).split()), validate=True))


def read_bag(body: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a PKCS#7 bag in base64, leaf first: the bag itself has no order."""
    der = from_base64(body, what)
    found = reading.guarded(what, lambda: pkcs7.load_der_pkcs7_certificates(der))
    if not found or len(found) > 16:
        raise CertsError(what, f"{len(found)} certificates; 1 to 16 make sense")
    return reading.in_order([reading.certificate(reading.der(each), what) for each in found])


# --- attributes of requests: the only ASN.1 that the library behind does not read ------------------

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_OID: Final = 0x06


def read_attributes(der: bytes) -> tuple[CsrAttribute, ...]:
    """CsrAttrs of RFC 7030: object identifiers, alone or with values."""
    what = "csrattrs"
    if not der:
        return ()
    outer = _elements(der, what)
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        raise CertsError(what, "not one SEQUENCE")
    found = _elements(outer[0][1], what)
    if len(found) > MAX_ATTRIBUTES:
        raise CertsError(what, f"more than {MAX_ATTRIBUTES} attributes")
    return tuple(_attribute(tag, content) for tag, content, _ in found)


def _attribute(tag: int, content: bytes) -> CsrAttribute:
    if tag == _OID:
        return CsrAttribute(_dotted(content))
    parts = _elements(content, "csrattrs") if tag == _SEQUENCE else []
    if len(parts) != 2 or parts[0][0] != _OID or parts[1][0] != _SET:
        raise CertsError("csrattrs", "neither an object identifier nor an attribute")
    return CsrAttribute(
        _dotted(parts[0][1]), tuple(whole for _, _, whole in _elements(parts[1][1], "csrattrs"))
    )


def _elements(der: bytes, what: str) -> Sequence[tuple[int, bytes, bytes]]:
    """(tag, content, whole) of what stands in a row."""
    found = []
    while der:
        if len(der) < 2 or der[0] & 0x1F == 0x1F:
            raise CertsError(what, "not DER")
        length, start = der[1], 2
        if length & 0x80:
            start += length & 0x7F
            if start > 5 or start == 2 or len(der) < start:
                raise CertsError(what, "a length that makes no sense")
            length = int.from_bytes(der[2:start], "big")
        if len(der) < start + length:
            raise CertsError(what, "cut off")
        found.append((der[0], der[start : start + length], der[: start + length]))
        der = der[start + length :]
    return found


def _dotted(content: bytes) -> str:
    """An object identifier as text."""
    numbers, current = [], 0
    if not content or content[-1] & 0x80 or len(content) > 64:
        raise CertsError("csrattrs", "an object identifier that makes no sense")
    for octet in content:
        current = current << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(current)
            current = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


# --- over the network ------------------------------------------------------------------------------


def https(host: str, port: int, context: ssl.SSLContext, *, timeout_s: float = 10.0) -> Transport:
    """Requests over TLS to one server; `context` holds whom we trust and the client certificate.

    A connection for each request, and no redirection: what asks for certificates does not follow strangers.
    """

    def carry(request: HttpRequest) -> HttpResponse:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        try:
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            answer = connection.getresponse()
            return HttpResponse(
                answer.status,
                answer.read(MAX_BODY + 1),
                answer.getheader("Retry-After", ""),
                answer.getheader("Content-Type", ""),
            )
        except (OSError, http.client.HTTPException) as error:
            raise CertsError(
                f"EST server {host}:{port}",
                str(error)[:200] or type(error).__name__,
                next_step="Look at address, trusted root and client certificate",
            ) from None
        finally:
            connection.close()

    return carry
