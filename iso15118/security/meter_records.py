"""Signed records of energy meters in the OCMF format, and the raw form that fits into MeterSignature.

The signature covers the payload octets exactly as the meter wrote them: nothing is parsed and written again.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from iso15118.errors import SecurityError

MAX_RECORD: Final = 65_536
RAW_OCTETS: Final = 64
"""What the MeterSignature of a message can hold: r || s of a 256 bit curve."""
_ALGORITHM: Final = "ECDSA-secp256r1-SHA256"
_DECODERS: Final = {"hex": binascii.unhexlify, "base64": b64decode}


@dataclass(frozen=True, slots=True)
class OcmfRecord:
    """A record as it came: the payload octets, the DER signature, and the algorithm it names."""

    payload: bytes
    signature: bytes
    algorithm: str = _ALGORITHM

    @property
    def raw_signature(self) -> bytes:
        """The signature as r || s, 64 octets, for the MeterSignature of a message. SecurityError where it does not fit."""
        try:
            r, s = decode_dss_signature(self.signature)
            return r.to_bytes(RAW_OCTETS // 2) + s.to_bytes(RAW_OCTETS // 2)
        except (ValueError, OverflowError):
            raise SecurityError(f"OCMF signature: not two numbers of {RAW_OCTETS // 2} octets") from None

    def verifies(self, public_key: bytes) -> bool:
        """Whether a meter's key (DER SubjectPublicKeyInfo, from its nameplate) signed this payload."""
        if self.algorithm != _ALGORITHM:
            return False
        try:
            key = load_der_public_key(public_key)
            if not isinstance(key, ec.EllipticCurvePublicKey):
                return False
            key.verify(self.signature, self.payload, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def read_ocmf(text: str) -> OcmfRecord:
    """A record `OCMF|payload|signature`. SecurityError tells what is wrong with one that is none."""
    head, _, signed = text.strip().rpartition("|")
    if len(text) > MAX_RECORD or not head.startswith("OCMF|"):
        raise SecurityError("OCMF record: wanted is OCMF|payload|signature in at most 65536 characters")
    try:
        told: dict[str, Any] = json.loads(signed)
        signature = _DECODERS[told.get("SE", "hex")](told["SD"])
        algorithm = str(told.get("SA", _ALGORITHM))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SecurityError("OCMF record: its signature cannot be read") from None
    return OcmfRecord(head.removeprefix("OCMF|").encode(), signature, algorithm)
