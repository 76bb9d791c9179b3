"""Certificates for Plug & Charge and TLS: make, issue, show, check, renew.

  iso15118 pki init pki/                        a whole test PKI, ready for a station and a car
  iso15118 pki init pki/ --protocol iso15118-2
  iso15118 pki issue pki/ contract DE-ABC-C12345678
  iso15118 pki issue pki/ secc --defect expired --out bad/
  iso15118 pki show pki/secc
  iso15118 pki check pki/                       what a peer will say, what expires when
  iso15118 pki renew pki/                       new leaves where they end soon, fresh OCSP responses

PKIs made here are for tests and laboratories. Private keys are encrypted, each directory with a passphrase of its own.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509

from certs import agreement, directory, ids, keys, ocsp, reading
from certs.chain import DEFAULT, LAB, Evidence, Mode, Policy, Verdict, validate
from certs.defects import Defect
from certs.errors import CertsError, demand_aware
from certs.identity import AGREEMENT, KEY, Identity, Roots, anchors, read_roots
from certs.pki import TestPki
from certs.profiles import LEAF_ROLES, PROTOCOLS, Role, Rules, role_of, rules_of
from certs.reasons import Finding
from iso15118.cli.main import FAILED, OK, UsageError

_DAY: Final = datetime.timedelta(days=1)
_RENEW_WITHIN_DAYS: Final = 14
_LEAVES: Final = tuple(role.value for role in LEAF_ROLES)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 pki` and its actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = _action(actions, "init", "a whole PKI in a new directory")
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("--protocol", choices=tuple(PROTOCOLS), default="iso15118-20")
    init.add_argument("--curve", default="", help="secp521r1 (default) or ed448 for ISO 15118-20")
    init.add_argument(
        "--organisation", default="Test", metavar="NAME", help="O in every subject (default: Test)"
    )
    _add_unencrypted(init)
    issue = _action(actions, "issue", "one more leaf from a PKI")
    issue.add_argument("folder", type=Path, metavar="DIR")
    issue.add_argument("role", choices=_LEAVES)
    issue.add_argument(
        "identifier", nargs="?", default="", metavar="ID", help="SECCID, EVCCID, PCID or EMAID"
    )
    issue.add_argument("--out", type=Path, metavar="DIR", help="where to (default: a directory in the PKI)")
    issue.add_argument("--defect", choices=tuple(d.value for d in Defect), help="make it wrong on purpose")
    _add_unencrypted(issue)
    show = _action(actions, "show", "what certificates say")
    show.add_argument("path", type=Path, metavar="PATH", help="a PKI, an identity, a PEM or DER file")
    check = _action(actions, "check", "why a peer refuses it, what expires when")
    check.add_argument("path", type=Path, metavar="PATH", help="a PKI, an identity, a PEM file with a chain")
    check.add_argument("--roots", type=Path, metavar="DIR", help="roots the peer trusts (v2g-root.pem ...)")
    check.add_argument("--role", choices=_LEAVES, help="what a chain in a file is for")
    check.add_argument(
        "--protocol", choices=tuple(PROTOCOLS), default="iso15118-20", help="of a chain in a file"
    )
    check.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="where it is not in the directory"
    )
    check.add_argument(
        "--lab", action="store_true", help="judge as a laboratory: profiles are only warned about"
    )
    renew = _action(actions, "renew", "new leaves and OCSP responses where they end soon")
    renew.add_argument("folder", type=Path, metavar="DIR")
    text = f"renew leaves that end within so many days (default: {_RENEW_WITHIN_DAYS})"
    renew.add_argument("--within", type=int, default=_RENEW_WITHIN_DAYS, metavar="DAYS", help=text)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.add_argument("--at", metavar="TIME", help="ISO 8601 with zone, in the place of now")
    return parser


def _add_unencrypted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--unencrypted-keys", action="store_true", help="leave private keys in the clear")


def run(args: argparse.Namespace) -> int:
    """Do the action; what cannot be used is told with cause and next step."""
    try:
        return _ACTIONS[args.action](args, _time(args.at))
    except CertsError as error:
        print(f"iso15118: {error.diagnostics()}", file=sys.stderr)
        return FAILED


def _time(text: str | None) -> datetime.datetime:
    if text is None:
        return datetime.datetime.now(datetime.UTC)
    try:
        return demand_aware(datetime.datetime.fromisoformat(text))
    except ValueError:
        raise UsageError(f"--at {text}: not a time; write 2026-06-01T12:00:00Z") from None


# --- making ----------------------------------------------------------------------------------------


def _init(args: argparse.Namespace, at: datetime.datetime) -> int:
    pki = TestPki(at, args.protocol, args.curve, args.organisation)
    pki.write(args.folder, unencrypted=args.unencrypted_keys)
    print(f"{args.folder}: {pki.rules.name} on {pki.curve.name}, for tests and laboratories")
    for path in directory.identities(args.folder):
        print(f"  {path.name + '/':<14}{reading.title(Identity.load(path).leaf)}")
    print("  roots/        the trusted roots, one file for each class")
    print("  ca/           the authorities with their keys: keep them away from stations and cars")
    return OK


def _issue(args: argparse.Namespace, at: datetime.datetime) -> int:
    pki = TestPki.load(args.folder, at)
    identity = pki.leaf(role_of(args.role), args.identifier, defect=args.defect)
    out = args.out or args.folder / _free_name(args.folder, identity)
    identity.write(out, unencrypted=args.unencrypted_keys)
    print(f"{out}: {_line(identity.leaf)}")
    verdict = pki.verdict(identity, at)
    if verdict.refusal is not None:
        print(f"  a peer refuses it: {verdict.refusal}")
    return OK


def _free_name(folder: Path, identity: Identity) -> str:
    """The role, where that is taken the role with the identifier."""
    title = "".join(c if c.isalnum() else "-" for c in reading.title(identity.leaf))
    name = (
        identity.role.value
        if not (folder / identity.role.value).exists()
        else f"{identity.role.value}-{title}"
    )
    if (folder / name).exists():
        raise UsageError(f"{folder / name} is there already; name another place with --out")
    return name


def _renew(args: argparse.Namespace, at: datetime.datetime) -> int:
    pki = TestPki.load(args.folder, at)
    for path in directory.identities(args.folder):
        identity = Identity.load(path)
        if identity.leaf.not_valid_after_utc - at <= args.within * _DAY:
            identity = pki.leaf(identity.role, reading.common_name(identity.leaf.subject))
            in_clear = not (path / "passphrase").exists()
            identity.write(path, unencrypted=in_clear)
            print(f"{path}: new key and certificate, {_until(identity.leaf.not_valid_after_utc, at)}")
        else:
            identity = identity.with_status(pki.status(identity, at))
            keys.write_whole(path / "ocsp.der", identity.status)
            print(
                f"{path}: fresh OCSP response; the certificate {_until(identity.leaf.not_valid_after_utc, at)}"
            )
    return OK


# --- showing ---------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, at: datetime.datetime) -> int:
    for title, certificates in _found(args.path):
        print(title)
        for certificate in certificates:
            for line in _described(certificate, at):
                print(f"  {line}")
    return OK


def _found(path: Path) -> Iterator[tuple[str, tuple[x509.Certificate, ...]]]:
    """(title, certificates) of everything in a place. No private key is read."""
    if path.is_dir():
        for file in sorted(path.rglob("*.pem")):
            if not file.name.endswith((KEY, AGREEMENT)):
                yield str(file), _certificates(file)
    else:
        yield str(path), _certificates(path)


def _certificates(path: Path) -> tuple[x509.Certificate, ...]:
    what = f"certificates {path}"
    return reading.certificates(keys.read_file(path, what, reading.MAX_FILE), what)


def _described(certificate: x509.Certificate, at: datetime.datetime) -> Iterator[str]:
    from certs.curves import curve_of

    curve = curve_of(certificate.public_key())
    yield f"{certificate.subject.rfc4514_string()}"
    yield f"  issued by {certificate.issuer.rfc4514_string()}"
    yield f"  {certificate.not_valid_before_utc:%Y-%m-%d} to {_until(certificate.not_valid_after_utc, at)}"
    yield f"  {curve.name if curve else 'unknown curve'}, {len(reading.der(certificate))} octets, serial {certificate.serial_number:x}"
    yield from _second_key(certificate)
    for name, text in _identifiers(reading.common_name(certificate.subject)):
        yield f"  {name} {text}"


def _second_key(certificate: x509.Certificate) -> Iterator[str]:
    try:
        if agreement.public_key_of(certificate) is not None:
            yield "  with an X448 key that receives contract keys"
    except CertsError as error:
        yield f"  {error}"


def _identifiers(common: str) -> Iterator[tuple[str, str]]:
    """What a CN may be, with its check digit."""
    for kind in (ids.Kind.EVCCID, ids.Kind.SECCID, ids.Kind.PCID, ids.Kind.EMAID):
        try:
            found = ids.parse(kind, common)
        except CertsError:
            continue
        yield kind.value, f"{found.text}, check digit {found.check.value}"
        return


def _line(certificate: x509.Certificate) -> str:
    return f"{reading.title(certificate)}, until {certificate.not_valid_after_utc:%Y-%m-%d}"


def _until(end: datetime.datetime, at: datetime.datetime) -> str:
    days = (end - at) // _DAY
    return f"{end:%Y-%m-%d} ({f'{days} days left' if end >= at else 'over'})"


# --- checking --------------------------------------------------------------------------------------


def _check(args: argparse.Namespace, at: datetime.datetime) -> int:
    policy = LAB if args.lab else DEFAULT
    if not args.path.exists():
        raise UsageError(f"{args.path} is not there")
    if not args.path.is_dir():
        return _check_file(args, at, policy)
    folders = tuple(directory.identities(args.path))
    if not folders:
        raise UsageError(f"{args.path} holds neither a PKI nor an identity; `iso15118 pki init` makes them")
    return max(_check_folder(folder, args, at, policy) for folder in folders)


def _check_folder(folder: Path, args: argparse.Namespace, at: datetime.datetime, policy: Policy) -> int:
    try:
        identity = Identity.load(folder, passphrase_file=args.passphrase_file)
        roots = anchors(_roots_of_peer(folder, args.roots), identity.role, identity.rules)
    except CertsError as error:
        print(f"{folder}: cannot be used\n  {error.diagnostics()}")
        return FAILED
    verdict = identity.check(roots, at, policy=policy)
    _tell(str(folder), verdict, identity.role, identity.rules)
    _tell_ends(identity.certificates, verdict, identity, at)
    return OK if verdict.ok else FAILED


def _roots_of_peer(folder: Path, given: Path | None) -> Roots:
    """Those named, else those of the PKI around the directory, else its own: a peer trusts about the same."""
    beside = folder.parent / directory.ROOTS
    return read_roots(given or (beside if beside.is_dir() else folder / directory.ROOTS))


def _check_file(args: argparse.Namespace, at: datetime.datetime, policy: Policy) -> int:
    if args.role is None or args.roots is None:
        raise UsageError(
            "a chain in a file needs --role and --roots, for example --role secc --roots pki/roots"
        )
    rules, role = rules_of(args.protocol), role_of(args.role)
    chain = reading.in_order(_certificates(args.path))
    # A file tells nothing about revocation; that is said and does not refuse.
    asked = Policy(lab=policy.lab, revocation=Mode.SOFT)
    trusted = anchors(read_roots(args.roots), role, rules)
    verdict = validate(
        [reading.der(each) for each in chain],
        role,
        trusted,
        at,
        rules=rules,
        policy=asked,
        evidence=Evidence(),
    )
    _tell(str(args.path), verdict, role, rules)
    _tell_ends(chain, verdict, None, at)
    return OK if verdict.ok else FAILED


def _tell(title: str, verdict: Verdict, role: Role, rules: Rules) -> None:
    print(
        f"{title}: {'accepted' if verdict.ok else 'REFUSED'}{f', {verdict.identity}' if verdict.identity else ''}"
    )
    if verdict.refusal is not None:
        print(f"  {verdict.refusal}")
        print(f"  a peer says: {_peer_says(verdict.refusal, role, rules)}")
        print(f"  next: {verdict.refusal.explanation.next_step}")
    for warning in verdict.warnings:
        print(f"  warning: {warning}")


def _peer_says(finding: Finding, role: Role, rules: Rules) -> str:
    """Stations and cars hear an alert of TLS, contracts a response code."""
    explanation = finding.explanation
    if role in (Role.SECC, Role.VEHICLE):
        return f"TLS alert {explanation.alert}"
    if role is Role.CONTRACT:
        return explanation.iso2 if rules.name == "iso15118-2" else explanation.iso20
    return "nothing to us: it discards the message"


def _tell_ends(
    chain: tuple[x509.Certificate, ...], verdict: Verdict, identity: Identity | None, at: datetime.datetime
) -> None:
    """What ends first, and until when the response to staple is good."""
    first = min(chain, key=lambda certificate: certificate.not_valid_after_utc)
    print(f"  ends first: {reading.title(first)!r}, {_until(first.not_valid_after_utc, at)}")
    if identity is None or not identity.status:
        return
    elements = verdict.path.elements if verdict.path else ()
    if len(elements) > 1:
        status = ocsp.check(identity.status, elements[0], elements[1], at)
        ends = _until(status.until, at) if status.until else status.detail
        print(f"  OCSP response: {status.kind.value}, {ends}")


_ACTIONS: Final = MappingProxyType[str, Callable[[argparse.Namespace, datetime.datetime], int]](
    {"init": _init, "issue": _issue, "show": _show, "check": _check, "renew": _renew}
)
