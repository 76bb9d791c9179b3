"""Certificates of a directory: would a peer accept them now, and how long?"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from iso15118.runtime.checkup.findings import Finding, error, ok, warning

if TYPE_CHECKING:
    from certs.identity import Identity

SOON_DAYS: Final = 14
_RENEW: Final = "Renew it; `iso15118 pki renew` does that for a test PKI"


def check_certificates(folder: Path, at: datetime.datetime) -> Iterator[Finding]:
    """Every identity in a PKI, or the one a directory is; `at` is now (with zone)."""
    from certs import directory

    paths = list(directory.identities(folder))
    if not paths:
        yield error(
            f"certificates {folder}",
            "there are none",
            "it is neither an identity nor a PKI",
            "`iso15118 pki init` makes one",
        )
    for path in paths:
        yield from _check(path, at)


def _check(path: Path, at: datetime.datetime) -> Iterator[Finding]:
    """Judged by the roots of the PKI around an identity, else by its own: a peer trusts about the same."""
    from certs.directory import ROOTS
    from certs.errors import CertsError
    from certs.identity import Identity, anchors, read_roots

    subject = f"certificate {path}"
    beside = path.parent / ROOTS
    try:
        identity = Identity.load(path)
        trusted = read_roots(beside if beside.is_dir() else path / ROOTS)
        verdict = identity.check(anchors(trusted, identity.role, identity.rules), at)
    except CertsError as problem:
        yield error(subject, "cannot be used", str(problem), problem.next_step)
        return
    if verdict.refusal is not None:
        yield error(subject, "a peer refuses it", str(verdict.refusal), verdict.refusal.explanation.next_step)
        return
    yield _ends(subject, identity, at)
    for finding in verdict.warnings:
        yield warning(subject, "accepted, with a doubt", str(finding), finding.explanation.next_step)


def _ends(subject: str, identity: Identity, at: datetime.datetime) -> Finding:
    end = min(certificate.not_valid_after_utc for certificate in identity.certificates)
    days = (end - at) // datetime.timedelta(days=1)
    if days <= SOON_DAYS:
        return warning(subject, f"accepted, ends in {days} days", f"valid until {end:%Y-%m-%d}", _RENEW)
    return ok(subject, f"accepted, until {end:%Y-%m-%d} ({days} days)")
