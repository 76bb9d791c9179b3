"""Who we are: a chain with its private key, whom we trust, and the directory they live in.

A directory holds `chain.pem` (leaf first, the root left out), `key.pem` (PKCS#8, encrypted), `agreement.pem` (the same
for the X448 key, where the certificate has one), `passphrase` (of both, mode 0600; keep it elsewhere where the machine
offers a better place), `roots/*.pem` (one file for each class of trusted roots), `ocsp.der` (the response to staple,
where there is one) and `identity.toml` (role and protocol).
"""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448

from certs import agreement as alternate
from certs import reading
from certs.chain import DEFAULT, Evidence, Policy, Verdict, validate
from certs.curves import PrivateKey
from certs.errors import CertsError
from certs.keys import (
    belongs_to,
    can_leave,
    key_pem,
    read_file,
    read_key,
    read_passphrase,
    read_x448_key,
    write_private,
    write_whole,
)
from certs.ocsp import MAX_RESPONSE
from certs.profiles import ISO20, Role, Rules, role_of, rules_of
from certs.reasons import Finding, Reason

Roots = Mapping[Role, tuple[x509.Certificate, ...]]
"""Trusted roots by class. The classes stay apart: a mobility operator's root vouches for no station."""

NO_ROOTS: Final[Roots] = MappingProxyType({})
CHAIN: Final = "chain.pem"
KEY: Final = "key.pem"
AGREEMENT: Final = "agreement.pem"
PASSPHRASE: Final = "passphrase"  # noqa: S105 - the name of a file
ROOTS: Final = "roots"
STATUS: Final = "ocsp.der"
ABOUT: Final = "identity.toml"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain with its key.

    `certificates` leaf first, the root left out. `roots` are those this side trusts. `status` is the OCSP response (DER)
    for the leaf, empty where there is none. `agreement` is the private half of the leaf's X448 key, None where it has none
    or where it is elsewhere: then no contract can be received by it.
    """

    role: Role
    certificates: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)
    roots: Roots = field(default_factory=lambda: NO_ROOTS, repr=False)
    status: bytes = field(default=b"", repr=False)
    rules: Rules = field(default=ISO20, repr=False)
    agreement: x448.X448PrivateKey | None = field(default=None, repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.certificates[0]

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What a peer is shown: DER, leaf first."""
        return tuple(reading.der(certificate) for certificate in self.certificates)

    @property
    def root(self) -> bytes:
        """The DER name of the root the chain ends at."""
        return self.certificates[-1].issuer.public_bytes()

    def roots_for(self, peer: Role) -> tuple[x509.Certificate, ...]:
        """The trusted roots a peer's chain of that role may end at."""
        return anchors(self.roots, peer, self.rules)

    def check(
        self,
        roots: tuple[x509.Certificate, ...],
        at: datetime.datetime,
        *,
        policy: Policy = DEFAULT,
        evidence: Evidence | None = None,
    ) -> Verdict:
        """What a peer that trusts `roots` says of it; before that, whether the keys belong to the certificate.

        `evidence` None: the stapled response alone.
        """
        if not belongs_to(self.key, self.leaf.public_key()):
            return Verdict(Finding(Reason.KEY_MISMATCH, f"leaf {reading.title(self.leaf)!r}"))
        objection = alternate.objection(self.agreement, self.leaf)
        if objection:
            return Verdict(Finding(Reason.KEY_MISMATCH, f"leaf {reading.title(self.leaf)!r}", objection))
        evidence = Evidence(ocsp=(self.status,)) if evidence is None else evidence
        return validate(self.chain, self.role, roots, at, rules=self.rules, policy=policy, evidence=evidence)

    def write(self, folder: str | Path, *, unencrypted: bool = False) -> None:
        """Write the directory; keys are encrypted with a fresh passphrase unless `unencrypted` is said.

        A key that cannot leave its hardware is left out: give it to `load`. CertsError where no file can hold the key.
        """
        folder = Path(folder)
        (folder / ROOTS).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_keys(folder, unencrypted=unencrypted)
        write_whole(folder / CHAIN, reading.pem(self.certificates))
        write_roots(folder / ROOTS, self.roots)
        if self.status:
            write_whole(folder / STATUS, self.status)
        about = f'protocol = "{self.rules.name}"\nrole = "{self.role.value}"\n'
        write_whole(folder / ABOUT, about.encode())

    def _write_keys(self, folder: Path, *, unencrypted: bool) -> None:
        """Keys and passphrase are several files: where one is replaced alone, loading fails and tells so."""
        passphrase = b"" if unencrypted else secrets.token_urlsafe(24).encode()
        # All of it before the first file is replaced: a key that no file can hold leaves the directory as it was.
        found = {KEY: key_pem(self.key, passphrase)} if can_leave(self.key) else {}
        if self.agreement is not None:
            found[AGREEMENT] = key_pem(self.agreement, passphrase)
        else:
            (folder / AGREEMENT).unlink(missing_ok=True)  # of an earlier issuing
        if found and unencrypted:
            (folder / PASSPHRASE).unlink(missing_ok=True)
        elif found:
            write_private(folder / PASSPHRASE, passphrase + b"\n")
        for name, text in found.items():
            write_private(folder / name, text)

    def with_status(self, status: bytes) -> Identity:
        """The same with another OCSP response."""
        return dataclasses.replace(self, status=status)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        passphrase_file: str | Path | None = None,
        key: PrivateKey | None = None,
    ) -> Identity:
        """Read a directory. `passphrase_file` where it is not in the directory; `key` where the key is in hardware.

        CertsError tells which file cannot be used and why. Validity is not looked at: see `check`.
        """
        folder = Path(folder)
        role, rules = _about(folder)
        key, agrees = _read_keys(folder, passphrase_file, key)
        certificates = _read_certificates(folder / CHAIN)
        _demand_fitting(folder, key, agrees, certificates[0])
        status = folder / STATUS
        stapled = read_file(status, f"OCSP response {status}", MAX_RESPONSE) if status.exists() else b""
        return cls(role, certificates, key, read_roots(folder / ROOTS), stapled, rules, agrees)


def anchors(roots: Roots, peer: Role, rules: Rules) -> tuple[x509.Certificate, ...]:
    """Those of `roots` that a chain of the role `peer` may end at."""
    return tuple(root for role in rules.profile(peer).anchors for root in roots.get(role, ()))


def is_identity(folder: Path) -> bool:
    """Whether a directory looks like one of an identity."""
    return (folder / ABOUT).is_file()


def write_roots(folder: Path, roots: Roots) -> None:
    """One file for each class of roots."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, certificates in roots.items():
        write_whole(folder / f"{role.value}.pem", reading.pem(certificates))


def read_roots(folder: Path) -> Roots:
    """The classes of roots in a directory; a file that is named after no class is an error."""
    found = {role_of(path.stem): _read_certificates(path) for path in sorted(folder.glob("*.pem"))}
    return MappingProxyType(found)


def read_toml(path: Path) -> dict[str, object]:
    """A small TOML file; CertsError where it is none."""
    text = read_file(path, f"file {path}", reading.MAX_OCTETS)
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        raise CertsError(f"file {path}", str(error)[:200]) from None


def _about(folder: Path) -> tuple[Role, Rules]:
    if not is_identity(folder):
        raise CertsError(
            f"identity {folder}",
            f"there is no {ABOUT}",
            next_step='It says what the certificate is for: role = "secc" and protocol = "iso15118-20"',
        )
    about = read_toml(folder / ABOUT)
    return role_of(str(about.get("role", ""))), rules_of(str(about.get("protocol", "")))


def _read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    what = f"certificates {path}"
    found = reading.certificates(read_file(path, what, reading.MAX_FILE), what)
    if not found:
        raise CertsError(what, "there is no certificate in it")
    return found


def _read_keys(
    folder: Path, passphrase_file: str | Path | None, key: PrivateKey | None
) -> tuple[PrivateKey, x448.X448PrivateKey | None]:
    """The key that signs, unless it is given, and the one that agrees, where there is one."""
    has_second = (folder / AGREEMENT).exists()
    if key is not None and not has_second:
        return key, None
    beside = folder / PASSPHRASE
    if passphrase_file is None and beside.exists():
        passphrase_file = beside
    passphrase = b"" if passphrase_file is None else read_passphrase(Path(passphrase_file))
    key = read_key(folder / KEY, passphrase) if key is None else key
    return key, read_x448_key(folder / AGREEMENT, passphrase) if has_second else None


def _demand_fitting(
    folder: Path, key: PrivateKey, agrees: x448.X448PrivateKey | None, leaf: x509.Certificate
) -> None:
    """CertsError where a key is not the one of the certificate."""
    if not belongs_to(key, leaf.public_key()):
        raise CertsError(
            f"identity {folder}",
            "the private key does not belong to the first certificate of the chain",
            next_step="Put key.pem and chain.pem of the same issuing together, leaf first",
        )
    objection = alternate.objection(agrees, leaf)
    if objection:
        raise CertsError(
            f"identity {folder}",
            objection,
            next_step=f"Put {AGREEMENT} and chain.pem of the same issuing together",
        )
