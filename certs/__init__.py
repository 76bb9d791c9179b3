"""Plug & Charge PKI: certificates, chains, revocation, contract keys, identifiers, key stores, enrolment.

Values in, verdicts out; time is always given. What is wrong with a peer's certificates is a `Verdict` with a `Reason`,
what is wrong with our own input is a `CertsError`. It never imports `iso15118` or `hal`, and never shows a secret.
Open first: `profiles.py` (who is who), `chain.py` (who is refused, and why), `pki.py` (a whole PKI in one call).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from certs.chain import Evidence as Evidence
    from certs.chain import Mode as Mode
    from certs.chain import Policy as Policy
    from certs.chain import Verdict as Verdict
    from certs.chain import validate as validate
    from certs.defects import Defect as Defect
    from certs.errors import CertsError as CertsError
    from certs.identity import Identity as Identity
    from certs.keys import FileKeyStore as FileKeyStore
    from certs.keys import KeyStore as KeyStore
    from certs.keys import MemoryKeyStore as MemoryKeyStore
    from certs.keys import Signer as Signer
    from certs.ocsp import StapleCache as StapleCache
    from certs.pki import TestPki as TestPki
    from certs.profiles import Role as Role
    from certs.reasons import Finding as Finding
    from certs.reasons import Reason as Reason

_HOME: Final = MappingProxyType(
    {
        "CertsError": "certs.errors",
        "Defect": "certs.defects",
        "Evidence": "certs.chain",
        "FileKeyStore": "certs.keys",
        "Finding": "certs.reasons",
        "Identity": "certs.identity",
        "KeyStore": "certs.keys",
        "MemoryKeyStore": "certs.keys",
        "Mode": "certs.chain",
        "Policy": "certs.chain",
        "Reason": "certs.reasons",
        "Role": "certs.profiles",
        "Signer": "certs.keys",
        "StapleCache": "certs.ocsp",
        "TestPki": "certs.pki",
        "Verdict": "certs.chain",
        "validate": "certs.chain",
    }
)
"""Public name -> the module that has it; imported when it is first asked for."""

__all__ = [
    "CertsError",
    "Defect",
    "Evidence",
    "FileKeyStore",
    "Finding",
    "Identity",
    "KeyStore",
    "MemoryKeyStore",
    "Mode",
    "Policy",
    "Reason",
    "Role",
    "Signer",
    "StapleCache",
    "TestPki",
    "Verdict",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'certs' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
