"""Why a chain is refused: in plain words, as the alert of TLS and as the response codes of the session.

One table, so that a log, a peer and `iso15118 pki check` tell the same story. The value of a reason is its short name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class Reason(enum.Enum):
    """What a refusal is about; validation reports the first that applies, in about this order."""

    SIZE = "size"
    MALFORMED = "malformed"
    INCOMPLETE_CHAIN = "incomplete_chain"
    UNTRUSTED_ROOT = "untrusted_root"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    CRITICAL_EXTENSION = "critical_extension"
    ALGORITHM = "algorithm"
    BASIC_CONSTRAINTS = "basic_constraints"
    ISSUER_NOT_CA = "issuer_not_ca"
    PATH_LENGTH = "path_length"
    KEY_USAGE = "key_usage"
    ROLE = "role"
    EXT_KEY_USAGE = "ext_key_usage"
    SUBJECT = "subject"
    EXTENSION = "extension"
    REVOCATION_POINTER = "revocation_pointer"
    REVOKED = "revoked"
    STATUS_UNKNOWN = "status_unknown"
    KEY_MISMATCH = "key_mismatch"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means and what follows.

    `alert` is the TLS alert a peer sends, `iso20` and `iso2` the response code for a contract certificate.
    """

    text: str
    next_step: str
    alert: str = "bad_certificate (42)"
    iso20: str = "WARNING_CertificateValidationError"
    iso2: str = "FAILED_CertChainError"

    @property
    def alert_number(self) -> int:
        """The number of `alert`, of the first one where it names two; 0 for none."""
        digits = self.alert.partition("(")[2].partition(")")[0]
        return int(digits or 0)


_PROFILE: Final = "Have it issued again by the profile of its role"

EXPLANATIONS: Final = MappingProxyType(
    {
        Reason.SIZE: Explanation(
            "a certificate is larger than the protocol allows",
            "Issue it with fewer extensions and shorter names",
        ),
        Reason.MALFORMED: Explanation(
            "a certificate cannot be read", "Look at the file: it has to be one DER or PEM certificate"
        ),
        Reason.INCOMPLETE_CHAIN: Explanation(
            "a certificate between leaf and root is missing",
            "Add the sub-CA certificates to the chain, leaf first",
            alert="unknown_ca (48)",
        ),
        Reason.UNTRUSTED_ROOT: Explanation(
            "the chain ends at a root that is not trusted here",
            "Install the root, or use a chain below a root that is trusted",
            alert="unknown_ca (48)",
            iso20="WARNING_eMSPUnknown",
        ),
        Reason.SIGNATURE: Explanation(
            "a signature does not belong to the issuer's key",
            "The certificate was forged, damaged, or issued under another root of the same name",
            alert="decrypt_error (51) or unknown_ca (48)",
        ),
        Reason.EXPIRED: Explanation(
            "a certificate has expired",
            "Renew it; if it should be valid, look at the clock",
            alert="certificate_expired (45)",
            iso20="WARNING_CertificateExpired",
            iso2="FAILED_CertificateExpired",
        ),
        Reason.NOT_YET_VALID: Explanation(
            "a certificate is not valid yet",
            "Wait, or look at the clock",
            iso20="WARNING_CertificateNotYetValid",
        ),
        Reason.CRITICAL_EXTENSION: Explanation(
            "a critical extension is unknown", _PROFILE, alert="certificate_unknown (46)"
        ),
        Reason.ALGORITHM: Explanation(
            "a key or signature is of a kind the protocol does not allow",
            "Use secp521r1 with SHA-512 or Ed448 for ISO 15118-20, secp256r1 with SHA-256 for ISO 15118-2",
            alert="unsupported_certificate (43)",
        ),
        Reason.BASIC_CONSTRAINTS: Explanation("the basic constraints are missing or wrong", _PROFILE),
        Reason.ISSUER_NOT_CA: Explanation(
            "a certificate that is no CA issued another",
            "Somebody signed with a leaf key: treat it as an attack",
            alert="unknown_ca (48)",
        ),
        Reason.PATH_LENGTH: Explanation(
            "there are more sub-CAs than allowed", "Issue from the lowest sub-CA"
        ),
        Reason.KEY_USAGE: Explanation("the key usage is missing or wrong", _PROFILE),
        Reason.ROLE: Explanation(
            "the certificate is for another role",
            "Use the certificate of this role; vehicle, provisioning and contract certificates are three things",
            alert="certificate_unknown (46)",
        ),
        Reason.EXT_KEY_USAGE: Explanation(
            "the extended key usage does not allow this use", _PROFILE, alert="unsupported_certificate (43)"
        ),
        Reason.SUBJECT: Explanation("the subject is not what the role demands", _PROFILE),
        Reason.EXTENSION: Explanation("an extension is not allowed in this role", _PROFILE),
        Reason.REVOCATION_POINTER: Explanation(
            "the certificate does not tell where to ask for its revocation", _PROFILE
        ),
        Reason.REVOKED: Explanation(
            "a certificate is revoked",
            "Have a new one issued",
            alert="certificate_revoked (44)",
            iso20="WARNING_CertificateRevoked",
            iso2="FAILED_CertificateRevoked",
        ),
        Reason.STATUS_UNKNOWN: Explanation(
            "nothing trustworthy tells whether the certificate is revoked",
            "Refresh the OCSP response or the CRL; the station staples one for the car",
            alert="bad_certificate_status_response (113)",
        ),
        Reason.KEY_MISMATCH: Explanation(
            "the private key does not belong to the certificate",
            "Put the key and the chain of the same issuing together",
            alert="none: our own side cannot start",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a chain: what (`reason`), with which certificate (`where`), and the particulars."""

    reason: Reason
    where: str
    detail: str = ""

    @property
    def explanation(self) -> Explanation:
        """The reason in words, alert and response codes."""
        return EXPLANATIONS[self.reason]

    def __str__(self) -> str:
        text = f"{self.where}: {self.explanation.text}"
        return f"{text} ({self.detail})" if self.detail else text
