"""From a leaf to a trusted root: the certificates between, found by name and proven by signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from certs import reading
from certs.reasons import Finding, Reason

MAX_CERTIFICATES: Final = 5
"""Leaf, two sub-CAs, a cross certificate and one to spare. More is refused before anything is computed."""


@dataclass(frozen=True, slots=True)
class Path:
    """Certificates from the leaf up to, and with, the trusted root."""

    elements: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate it is about."""
        return self.elements[0]

    @property
    def anchor(self) -> x509.Certificate:
        """The trusted root."""
        return self.elements[-1]

    @property
    def sent(self) -> tuple[x509.Certificate, ...]:
        """Everything below the root."""
        return self.elements[:-1]

    def where(self, index: int) -> str:
        """An element for people."""
        kind = "leaf" if index == 0 else "root" if index == len(self.elements) - 1 else f"sub-CA {index}"
        return f"{kind} {reading.title(self.elements[index])!r}"


def find(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[Path, ...] | Finding:
    """The proven paths, shortest first, or why there is none.

    A root that the peer sent is no anchor; anchors of one name are told by their key.
    """
    found: list[Path] = []
    frontier: list[tuple[x509.Certificate, ...]] = [(leaf,)]
    dead_ends: list[tuple[x509.Certificate, ...]] = []
    while frontier:
        path = frontier.pop(0)
        trusted = [Path((*path, anchor)) for anchor in _issuers(path[-1], anchors)]
        found += trusted
        longer = [(*path, issuer) for issuer in _issuers(path[-1], others) if issuer not in path]
        frontier += longer
        if not longer and not trusted:
            dead_ends.append(path)
    if found:
        return tuple(found)
    return _why(max(dead_ends, key=len), others, anchors)


def _issuers(found: x509.Certificate, candidates: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    for candidate in candidates:
        if candidate.subject == found.issuer and reading.issued_by(found, candidate):
            yield candidate


def _why(
    path: tuple[x509.Certificate, ...],
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
) -> Finding:
    """Why a path does not go on above its last element."""
    top = path[-1]
    where = f"{reading.title(top)!r}"
    issuer = reading.common_name(top.issuer) or top.issuer.rfc4514_string()[:128]
    if any(c.subject == top.issuer for c in (*anchors, *others) if c not in path):
        return Finding(Reason.SIGNATURE, where, f"not signed by the {issuer!r} that is known here")
    basic = reading.extension(top, x509.BasicConstraints)
    may_be_first = basic is not None and basic.value.ca and basic.value.path_length != 0
    if top.subject == top.issuer or may_be_first:
        return Finding(
            Reason.UNTRUSTED_ROOT, where, f"its issuer {issuer!r} is not among the {len(anchors)} roots"
        )
    return Finding(
        Reason.INCOMPLETE_CHAIN, where, f"its issuer {issuer!r} is neither in the chain nor a trusted root"
    )
