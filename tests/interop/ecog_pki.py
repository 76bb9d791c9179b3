"""Certificates for sessions against EcoG's `iso15118`: the set its own script makes, as identities of ours.

They break the profiles of ISO 15118-20 (P-256, no roles, no pointers to revocation), and its stack can use no others.
Therefore both sides are judged by `certs.chain.LAB`: what only breaks a profile is told; signatures, validity, trust and
revocation still refuse.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certs import reading
from certs.chain import LAB
from certs.identity import Identity
from certs.profiles import ISO20_LAB_P256, Role
from iso15118.runtime.security import Security
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, Wallet
from iso15118.security.plug_and_charge import StationTrust

# The class of roots, and the name its certificate has there.
ROOTS = {Role.V2G_ROOT: "v2gRootCA", Role.OEM_ROOT: "oemRootCA", Role.MO_ROOT: "moRootCA"}
SUB_CAS = {Role.SECC: "cpo", Role.VEHICLE: "oem", Role.CONTRACT: "mo"}
LEAVES = {Role.SECC: "seccLeaf", Role.VEHICLE: "oemLeaf", Role.CONTRACT: "contractLeaf"}


def make(script: Path, python: Path, folder: Path) -> Path:
    """Let the peer's own script make its set for ISO 15118-20 under `folder`; the new directory."""
    made = folder / "pki"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment["ECOG_PYTHON"] = str(python)
    # In `folder`, because it looks for a package of the name that our own has too.
    subprocess.run(
        ["bash", script, made, "iso-20"], cwd=folder, check=True, env=environment, capture_output=True
    )
    return made


def identity(made: Path, role: Role) -> Identity:
    """The peer's chain, key and roots for a role, as ours."""
    certs, keys = made / "iso15118_20" / "certs", made / "iso15118_20" / "private_keys"
    names = [LEAVES[role], *(f"{SUB_CAS[role]}SubCA{number}" for number in (2, 1))]
    chain = tuple(reading.certificate((certs / f"{name}Cert.der").read_bytes()) for name in names)
    passphrase = (keys / f"{LEAVES[role]}Password.txt").read_text().strip().encode()
    key = load_pem_private_key((keys / f"{LEAVES[role]}.key").read_bytes(), passphrase)
    roots = {
        kind: (reading.certificate((certs / f"{name}Cert.der").read_bytes()),) for kind, name in ROOTS.items()
    }
    return Identity(role, chain, key, MappingProxyType(roots), rules=ISO20_LAB_P256)


def station(made: Path) -> Security:
    """Who our station is, with contracts of the peer's MO root taken."""
    own = identity(made, Role.SECC)
    judge = RootsJudge(Role.CONTRACT, own.roots_for(Role.CONTRACT), rules=own.rules, policy=LAB)
    return Security(own, policy=LAB, trust=StationTrust(judge))


def vehicle(made: Path) -> Security:
    """Who our vehicle is, with one contract."""
    wallet = Wallet((Contract.of(identity(made, Role.CONTRACT)),))
    return Security(identity(made, Role.VEHICLE), policy=LAB, wallet=wallet)
