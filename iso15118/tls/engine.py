"""The one file that knows the TLS library (pyOpenSSL): a connection through memory buffers.

Three settings have no public name in pyOpenSSL: groups and signature algorithms of a context, and the alert that goes
with a refusal. They are reached in `_limit` and `_tell_alerts` alone; a library that cannot be limited is refused
rather than used with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, _util, crypto

from iso15118.tls.errors import Alert, TlsError
from iso15118.tls.identity import Identity, TlsSettings
from iso15118.tls.profile import TlsProfile, Version

_CHUNK: Final = 65_536
_UNHANDLED_CRITICAL_EXTENSION: Final = 34
_TIME_ERRORS: Final = (9, 10)  # not yet valid, expired: by the system's clock, which is not ours
_REJECTED: Final = 28
_ERROR_FOR: Final = MappingProxyType(
    {
        Alert.BAD_CERTIFICATE: _REJECTED,
        Alert.UNSUPPORTED_CERTIFICATE: 26,
        Alert.CERTIFICATE_REVOKED: 23,
        Alert.CERTIFICATE_EXPIRED: 10,
        Alert.CERTIFICATE_UNKNOWN: _UNHANDLED_CRITICAL_EXTENSION,
        Alert.UNKNOWN_CA: 20,
        Alert.DECRYPT_ERROR: 7,
    }
)
"""The library chooses the alert by its own verification errors: the one that leads to each."""
_KNOWN_EXTENSIONS: Final = frozenset(
    [
        "2.5.29.14",  # subject key identifier
        "2.5.29.15",  # key usage
        "2.5.29.19",  # basic constraints
        "2.5.29.31",  # CRL distribution points
        "2.5.29.32",  # certificate policies
        "2.5.29.35",  # authority key identifier
        "2.5.29.37",  # extended key usage
        "1.3.6.1.5.5.7.1.1",  # authority information access
        "1.3.6.1.5.5.7.1.11",  # subject information access
    ]
)
"""What ISO 15118-20 Annex B allows to be critical and we look at ourselves; the library knows fewer."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was negotiated, and who the peer is: DER certificates, leaf first (empty: it showed none), and its CN."""

    version: Version
    suite: str
    group: str
    peer_chain: tuple[bytes, ...] = ()
    peer_name: str = ""

    @property
    def peer(self) -> bytes | None:
        """The peer's own certificate."""
        return self.peer_chain[0] if self.peer_chain else None


class Engine:
    """One connection. Octets of the wire go in by `receive` and come out by `pull`; nothing else does I/O."""

    def __init__(
        self,
        settings: TlsSettings,
        identity: Identity | None,
        profile: TlsProfile,
        *,
        server: bool,
        utc: Callable[[], float],
    ) -> None:
        self._settings, self._utc, self._server = settings, utc, server
        self._chain: list[bytes] = []
        self._seen: dict[int, bytes] = {}
        self._refusal = ""
        self._error = _REJECTED
        context = self._context(profile, identity)
        self._connection: Any = SSL.Connection(context, None)
        if server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
            self._connection.request_ocsp()

    # --- the connection -----------------------------------------------------------------------

    def receive(self, octets: bytes) -> None:
        """Octets from the wire."""
        for start in range(0, len(octets), _CHUNK):
            self._connection.bio_write(octets[start : start + _CHUNK])

    def pull(self) -> bytes:
        """Octets for the wire."""
        pieces = []
        while True:
            try:
                pieces.append(self._connection.bio_read(_CHUNK))
            except SSL.WantReadError:
                return b"".join(pieces)

    def handshake(self) -> bool:
        """Go on shaking hands; True when done. Raises TlsError."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise self._told(error) from error
        return True

    def read(self) -> bytes | None:
        """What has been decrypted, empty where nothing; None once the peer has said close_notify.

        Raises TlsError where the connection is broken or refused.
        """
        pieces = []
        while True:
            try:
                pieces.append(self._connection.recv(_CHUNK))
            except SSL.WantReadError:
                return b"".join(pieces)
            except SSL.ZeroReturnError:
                return b"".join(pieces) or None
            except SSL.Error as error:
                raise self._told(error) from error

    def write(self, octets: bytes) -> None:
        """Encrypt; take the result with `pull`."""
        view = memoryview(octets)
        while view:
            view = view[self._connection.send(bytes(view)) :]

    def close(self) -> None:
        """Say close_notify; take it with `pull`."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return  # broken already: nothing more to say

    def facts(self) -> TlsFacts:
        """What was negotiated. After the handshake."""
        connection = self._connection
        chain = self._peer_chain()
        return TlsFacts(
            Version(connection.get_protocol_version()),
            connection.get_cipher_name() or "",
            connection.get_group_name() or "",
            chain,
            _common_name(chain[0]) if chain else "",
        )

    # --- the context --------------------------------------------------------------------------

    def _context(self, profile: TlsProfile, identity: Identity | None) -> Any:
        context = SSL.Context(SSL.TLS_SERVER_METHOD if self._server else SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(min(profile.versions))
        context.set_max_proto_version(max(profile.versions))
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        _limit(context, profile)
        if identity is not None:
            _show(context, identity)
        store: Any = context.get_cert_store()
        roots = [x509.load_der_x509_certificate(root) for root in self._settings.roots]
        for root in roots:
            store.add_cert(crypto.X509.from_cryptography(root))
        verify = SSL.VERIFY_PEER
        if self._server and profile.mutual:
            verify |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            # The names of what we accept, for the vehicle to choose by [V2G20-2401].
            for root in roots:
                context.add_client_ca(root)
        if self._server and not profile.mutual:
            verify = SSL.VERIFY_NONE
        context.set_verify(verify, self._verify)
        self._alerting = _tell_alerts(context, verify, lambda: self._error if self._refusal else None)
        if self._server:
            context.set_ocsp_server_callback(lambda _, __: identity.status if identity else b"")
        else:
            context.set_ocsp_client_callback(self._status)
        if self._settings.key_log is not None:
            log = self._settings.key_log
            context.set_keylog_callback(lambda _, line: log(line.decode("ascii", "replace")))
        return context

    # --- judging the peer ---------------------------------------------------------------------

    def _verify(self, _: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Called from the root down to the leaf; must not raise."""
        try:
            found = certificate.to_cryptography()
            self._seen[depth] = found.public_bytes(Encoding.DER)
            return self._accepted(found, error, depth, bool(ok))
        except Exception as problem:  # noqa: BLE001 - a certificate that cannot be read is refused
            return self._refuse(f"a certificate cannot be read: {problem}")

    def _accepted(self, certificate: x509.Certificate, error: int, depth: int, ok: bool) -> bool:
        if not ok and error == _UNHANDLED_CRITICAL_EXTENSION:
            unknown = [
                extension.oid.dotted_string
                for extension in certificate.extensions
                if extension.critical and extension.oid.dotted_string not in _KNOWN_EXTENSIONS
            ]
            if unknown:
                reason = f"unknown critical extension {', '.join(unknown)}"
                return self._refuse(reason, Alert.CERTIFICATE_UNKNOWN)
        elif not ok and error not in _TIME_ERRORS:
            self._error = error
            return self._refuse(_library_text(error), None)
        if not self._valid_now(certificate):
            return False
        if depth:
            return True
        # The library asks more than once about a certificate with several objections: judge the leaf once.
        chain = tuple(self._supplied(certificate))
        reason = self._settings.check_chain(chain)
        return self._refuse(reason, getattr(reason, "alert", Alert.BAD_CERTIFICATE)) if reason else True

    def _valid_now(self, certificate: x509.Certificate) -> bool:
        now = self._utc()
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < since.timestamp():
            return self._refuse(f"{_name(certificate)} is not valid before {since}")
        if now > until.timestamp():
            return self._refuse(f"{_name(certificate)} expired on {until}", Alert.CERTIFICATE_EXPIRED)
        return True

    def _supplied(self, leaf: x509.Certificate) -> list[bytes]:
        """The chain as the peer sent it, leaf first."""
        first = leaf.public_bytes(Encoding.DER)
        sent = self._connection.get_peer_cert_chain() or []
        others = [c.to_cryptography().public_bytes(Encoding.DER) for c in sent]
        if not others:
            # A server is told what a client sent only after it has accepted it: until then, what was verified.
            seen = (self._seen[depth] for depth in sorted(self._seen))
            others = [der for der in seen if der not in self._settings.roots]
        self._chain = [first, *(der for der in others if der != first)]
        return self._chain

    def _refuse(self, reason: str, alert: int | None = Alert.BAD_CERTIFICATE) -> bool:
        """Remember the first reason, and the alert that tells it; None: the library knows one by itself."""
        if not self._refusal:
            self._refusal = reason
            if alert is not None:
                self._error = _ERROR_FOR.get(Alert(alert), _REJECTED)
        return False

    def _status(self, _: Any, response: bytes, __: Any) -> bool:
        reason = self._settings.check_status(self._peer_chain(), response)
        return self._refuse(reason) if reason else True

    def _peer_chain(self) -> tuple[bytes, ...]:
        leaf = self._connection.get_peer_certificate()
        return () if leaf is None else tuple(self._supplied(leaf.to_cryptography()))

    def _told(self, error: SSL.Error) -> TlsError:
        """The library's error in plain words."""
        if self._refusal:
            return TlsError(f"the peer's certificate is refused: {self._refusal}", remote=True)
        if isinstance(error, SSL.SysCallError):
            return TlsError("the connection was cut without close_notify", remote=True)
        reasons = [str(entry[-1]) for entry in error.args[0]] if error.args and error.args[0] else []
        text = "; ".join(reasons) or type(error).__name__
        if "alert" in text or text.startswith("tlsv1"):  # some alerts are not called so
            return TlsError(f"the peer refused the connection: {text}", remote=True, next_step=_advice(text))
        return TlsError(text, remote=True, next_step=_advice(text))


def _limit(context: Any, profile: TlsProfile) -> None:
    """Suites, groups and signature algorithms of the profile, and no others."""
    if profile.tls13_suites:
        context.set_tls13_ciphersuites(":".join(profile.tls13_suites).encode())
    if profile.tls12_suites:
        context.set_cipher_list(":".join(profile.tls12_suites).encode())
    raw = context._context  # noqa: SLF001 - see the module's docstring
    for setter, names in (
        ("SSL_CTX_set1_curves_list", profile.groups),
        ("SSL_CTX_set1_sigalgs_list", profile.signatures),
    ):
        apply = getattr(_util.lib, setter, None)
        if apply is None or apply(raw, ":".join(names).encode()) != 1:
            raise TlsError(
                f"this TLS library cannot be limited to {', '.join(names)}",
                next_step="Install a newer pyOpenSSL and cryptography",
            )


def _tell_alerts(context: Any, mode: int, error: Callable[[], int | None]) -> Any:
    """Let a refusal of ours reach the peer as the alert it is; by itself the library says internal_error.

    `error` is the verification error to tell, None where nothing was refused. The caller keeps what is returned alive.
    """
    lib, judge = _util.lib, context._verify_callback  # noqa: SLF001 - see the module's docstring

    def judged(ok: int, store: Any) -> int:
        accepted: int = judge(ok, store)
        told = error()
        if not accepted and told is not None:
            lib.X509_STORE_CTX_set_error(store, told)
        return accepted

    callback = _util.ffi.callback("int (*)(int, X509_STORE_CTX *)", judged)
    lib.SSL_CTX_set_verify(context._context, mode, callback)  # noqa: SLF001
    return callback


def _show(context: Any, identity: Identity) -> None:
    leaf, *others = (x509.load_der_x509_certificate(der) for der in identity.chain)
    context.use_certificate(leaf)
    for certificate in others:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(identity.key)


def _common_name(der: bytes) -> str:
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a certificate"


def _library_text(error: int) -> str:
    """What the library's verification error means (its numbers are part of its interface)."""
    return {
        2: "the certificate of its issuer is missing",
        7: "a signature in the chain is wrong",
        18: "it is self-signed and not one of our roots",
        19: "its root is not one of ours",
        20: "it does not end at a root of ours",
        21: "its chain cannot be verified",
        23: "it is revoked",
        24: "a certificate in the chain may not issue others",
        25: "the chain is longer than its certificates allow",
        26: "it is not meant for this use",
        79: "a certificate in the chain may not issue others",
    }.get(error, f"verification error {error}")


_NOTHING_IN_COMMON: Final = (
    "No TLS version in common or, which the library does not tell apart, no group or signature algorithm"
)


def _advice(text: str) -> str:
    """What to do about the most frequent failures."""
    hints: tuple[tuple[str, str], ...] = (
        ("certificate required", "The station wants a vehicle certificate (ISO 15118-20 is mutual)"),
        ("unknown ca", "The peer does not know our root: exchange roots, or use a chain it trusts"),
        ("protocol version", _NOTHING_IN_COMMON),
        ("unsupported protocol", _NOTHING_IN_COMMON),
        ("handshake failure", "No common suite, group or signature algorithm"),
        ("no shared cipher", "The peer offers none of the suites of this protocol"),
        ("no suitable", "The peer offers none of the groups or signature algorithms of this protocol"),
        ("expired", "Renew the certificate, and look at the clocks"),
    )
    return next((advice for word, advice in hints if word in text), "")
