"""A PKI as a directory: `pki.toml`, `ca/<role>/`, `roots/`, and a directory for each identity."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from certs.errors import CertsError
from certs.identity import Identity, Roots, is_identity, read_roots, read_toml, write_roots
from certs.issue import Authority
from certs.keys import write_whole
from certs.profiles import Role, Rules, rules_of

ABOUT: Final = "pki.toml"
AUTHORITIES: Final = "ca"
ROOTS: Final = "roots"


@dataclass(frozen=True, slots=True)
class Tree:
    """What makes a PKI: its rules, the name of its curve, its organisation, authorities and roots."""

    rules: Rules
    curve: str
    organisation: str
    authorities: Mapping[Role, Authority]
    roots: Roots


def write(folder: Path, tree: Tree, leaves: Sequence[Identity], *, unencrypted: bool = False) -> None:
    """Write a PKI into a directory that has none yet; each leaf goes into the directory named after its role."""
    if is_pki(folder):
        raise CertsError(
            f"PKI {folder}", "there is one already", next_step="Use `renew`, or another directory"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role, authority in tree.authorities.items():
        is_root = authority.certificate.subject == authority.certificate.issuer
        certificates = (authority.certificate,) if is_root else authority.shown
        identity = Identity(role, certificates, authority.key, rules=tree.rules)
        identity.write(folder / AUTHORITIES / role.value, unencrypted=unencrypted)
    write_roots(folder / ROOTS, tree.roots)
    for leaf in leaves:
        leaf.write(folder / leaf.role.value, unencrypted=unencrypted)
    about = {"protocol": tree.rules.name, "curve": tree.curve, "organisation": tree.organisation}
    # Last: a directory with this file is complete.
    write_whole(
        folder / ABOUT, "".join(f"{key} = {json.dumps(text)}\n" for key, text in about.items()).encode()
    )


def read(folder: Path) -> Tree:
    """A PKI that was written; CertsError tells what is missing."""
    if not is_pki(folder):
        raise CertsError(
            f"PKI {folder}", f"there is no {ABOUT}", next_step="Make one with `iso15118 pki init`"
        )
    about = read_toml(folder / ABOUT)
    rules = rules_of(str(about.get("protocol", "")))
    authorities = {}
    for profile in rules.authorities:
        identity = Identity.load(folder / AUTHORITIES / profile.role.value)
        authorities[profile.role] = Authority(identity.leaf, identity.key, identity.certificates[1:])
    return Tree(
        rules,
        str(about.get("curve", "")),
        str(about.get("organisation", "")),
        MappingProxyType(authorities),
        read_roots(folder / ROOTS),
    )


def is_pki(folder: Path) -> bool:
    """Whether a directory holds a PKI."""
    return (folder / ABOUT).is_file()


def identities(folder: Path) -> Iterator[Path]:
    """The directories of identities in a PKI, or the directory itself where it is one."""
    if is_identity(folder):
        yield folder
    elif folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if is_identity(path))
