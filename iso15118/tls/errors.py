"""Why a TLS connection came to nothing."""

from __future__ import annotations

import enum

from iso15118.errors import SecurityError


class Alert(enum.IntEnum):
    """TLS alerts that matter here (RFC 8446, 6)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    UNKNOWN_CA = 48
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    CERTIFICATE_REQUIRED = 116


class TlsError(SecurityError):
    """The handshake or the connection failed: `reason` in plain words, `remote` where the peer refused us."""

    def __init__(self, reason: str, *, remote: bool = False, next_step: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remote, self.next_step = reason, remote, next_step

    def diagnostics(self) -> str:
        """Cause and next step in plain words."""
        return self.reason + (f". {self.next_step}" if self.next_step else "")
