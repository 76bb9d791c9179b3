"""The options that give `iso15118 charger` and `iso15118 vehicle` their certificates, and what comes of them."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from iso15118.cli.main import UsageError
from iso15118.events import Role

if TYPE_CHECKING:
    from certs.chain import Evidence, Policy
    from certs.identity import Identity
    from iso15118.runtime.revocation import RevocationFeed
    from iso15118.runtime.security import Security
    from iso15118.security.contracts import Wallet
    from iso15118.security.provisioning import BackEnd

Means = tuple[Literal["EIM", "PnC"], ...]
"""Of paying, by preference."""
NO_TLS_SWITCH: Final = "--insecure-no-tls"
X448_SWITCH: Final = "--experimental-x448"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of both roles."""
    group = parser.add_argument_group("security")
    group.add_argument(
        "--pki",
        type=Path,
        metavar="DIR",
        help="certificates: a PKI of `iso15118 pki init`, or one identity of it",
    )
    group.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="of the private key, where it is not in the directory",
    )
    group.add_argument(
        "--revocation",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="charger: a CRL or OCSP response (DER) about vehicles, read at each handshake; may be repeated",
    )
    group.add_argument(
        "--lab-certificates",
        action="store_true",
        help="only warn of certificates that break a profile; forged, expired, strange ones are still refused",
    )
    group.add_argument(
        "--keylog",
        type=Path,
        metavar="FILE",
        help="write the secrets of TLS to FILE, for `iso15118 decode --keylog`",
    )
    group.add_argument(
        NO_TLS_SWITCH,
        dest="insecure_no_tls",
        action="store_true",
        help="speak ISO 15118-20 over plain TCP, too, which the standard forbids; laboratories only",
    )


@contextlib.contextmanager
def security(args: argparse.Namespace, role: Role, *, insecure: bool) -> Iterator[Security | None]:
    """What the options say, for as long as the block runs; None: plain TCP, by consent. UsageError where it cannot be."""
    if args.pki is None:
        if not insecure:
            raise UsageError(_nothing_to_show(role))
        for given, option in ((args.keylog, "--keylog"), (args.revocation, "--revocation")):
            if given:
                raise UsageError(f"{option} is about TLS, which needs certificates: --pki DIR")
        yield None
        return
    from iso15118.runtime.security import Security

    evidence = _evidence(args.revocation) if args.revocation else None
    folder = _folder(args.pki, role)
    with _key_log(args.keylog) as key_log:
        yield Security(
            _identity(folder, args.passphrase_file),
            policy=_policy(lab=args.lab_certificates),
            evidence=evidence,
            staple=_staple(folder) if role == "SECC" else None,
            key_log=key_log,
            wallet=_wallet(args) if role == "EVCC" else None,
        )


def add_feed(parser: argparse.ArgumentParser) -> None:
    """What a charger fetches about revocation."""
    parser.add_argument(
        "--fetch-staple",
        action="store_true",
        help="fetch the OCSP response for the own certificate from where that says, and keep it fresh",
    )
    parser.add_argument(
        "--crl",
        action="append",
        default=[],
        metavar="URL",
        help="fetch a CRL about vehicles from URL, and keep it fresh; may be repeated",
    )


def feed(args: argparse.Namespace, given: Security | None) -> tuple[Security | None, RevocationFeed | None]:
    """What --fetch-staple and --crl say: the same with what is fetched, and what fetches. UsageError without --pki."""
    if not (args.fetch_staple or args.crl):
        return given, None
    if given is None:
        raise UsageError("--fetch-staple and --crl are about TLS, which needs certificates: --pki DIR")
    from certs.chain import Evidence
    from iso15118.runtime.revocation import RevocationFeed

    fetching = RevocationFeed(given.identity, lists=args.crl)
    known = given.evidence or Evidence

    def evidence() -> Evidence:
        files, fetched = known(), fetching.evidence()
        return Evidence(files.ocsp, (*files.crls, *fetched.crls))

    staple = fetching.staple if args.fetch_staple else given.staple
    heard = evidence if args.crl else given.evidence
    return dataclasses.replace(given, staple=staple, evidence=heard), fetching


def add_authorization(parser: argparse.ArgumentParser, installs: str) -> None:
    """How a session is paid, for both roles; the TOML file says it as well. `installs`: what --install does."""
    parser.add_argument(
        "--authorization",
        metavar="LIST",
        help="EIM, PnC or both, by preference: PnC,EIM (default: EIM, or the file's)",
    )
    parser.add_argument("--install", action="store_true", help=installs)
    parser.add_argument(
        X448_SWITCH,
        dest="experimental_x448",
        action="store_true",
        help="fetch or hand out contracts on ed448 too, in a reading of our own that other makers may not share",
    )


def authorization(args: argparse.Namespace) -> Means | None:
    """What --authorization says; None: nothing. UsageError for what there is not."""
    if args.authorization is None:
        return None
    known: dict[str, Literal["EIM", "PnC"]] = {"eim": "EIM", "pnc": "PnC"}
    try:
        return tuple(known[name.strip().lower()] for name in args.authorization.split(","))
    except KeyError as error:
        raise UsageError(f"--authorization {error.args[0]}; accepted: EIM, PnC") from error


def with_contracts(args: argparse.Namespace, given: Means) -> Means:
    """How a session is paid: by --authorization, else as `given`; --install takes contracts wherever nothing else is said."""
    said = authorization(args)
    if said is not None or not args.install or "PnC" in given:
        return given if said is None else said
    return ("PnC", *given)


def back_end(args: argparse.Namespace) -> BackEnd | None:
    """Hands out the contract of a PKI to the car of that PKI, where --install says so: for laboratories."""
    if not args.install:
        if args.experimental_x448:
            raise UsageError(f"{X448_SWITCH} is about contracts that are handed out: --install")
        return None
    from certs.directory import is_pki
    from certs.profiles import Role as Certified
    from iso15118.security.chains import RootsJudge
    from iso15118.security.contracts import Provisioning
    from iso15118.security.provisioning import ProvisioningService

    if args.pki is None or not is_pki(args.pki):
        raise UsageError("--install hands out the contract of a whole PKI: --pki DIR of `iso15118 pki init`")
    cps, contract, provisioning = (
        _identity(args.pki / name, None) for name in ("cps", "contract", "provisioning")
    )
    return ProvisioningService(
        cps=cps,
        contracts={Provisioning.of(provisioning).pcid: (contract,)},
        vehicles=RootsJudge(Certified.PROVISIONING, cps.roots_for(Certified.PROVISIONING)),
        utc=time.time,
        entropy=os.urandom,
        experimental_x448=args.experimental_x448,
    ).answer


def _wallet(args: argparse.Namespace) -> Wallet | None:
    """The contract (unless it is to be fetched) and the provisioning certificate of a PKI, as far as they are there."""
    from certs.directory import is_pki
    from certs.identity import Identity, is_identity
    from iso15118.security.contracts import Contract, Provisioning, Wallet

    folder, empty, experiment = args.pki, args.install, args.experimental_x448
    if empty and not (is_pki(folder) and is_identity(folder / "provisioning")):
        raise UsageError(
            "--install asks with the provisioning certificate of --pki DIR of `iso15118 pki init`"
        )
    if not is_pki(folder):
        return None
    found = {
        name: Identity.load(folder / name)
        for name in ("contract", "provisioning")
        if is_identity(folder / name)
    }
    contracts = (Contract.of(found["contract"]),) if "contract" in found and not empty else ()
    if "provisioning" not in found:
        return Wallet(contracts)
    if experiment:
        _demand_x448_library()
    return Wallet(contracts, Provisioning.of(found["provisioning"], experimental_x448=experiment))


def _demand_x448_library() -> None:
    """UsageError at once where it is missing: in a session it would only be found after the contract has come."""
    from certs.errors import CertsError
    from certs.scalars import demand_library

    try:
        demand_library()
    except CertsError as error:
        raise UsageError(f"{X448_SWITCH}: {error.diagnostics()}") from error


def _nothing_to_show(role: Role) -> str:
    name = "charger" if role == "SECC" else "vehicle"
    return (
        f"ISO 15118-20 runs over TLS 1.3, and this {name} has no certificate. `iso15118 pki init DIR` makes a set "
        f"for tests; then add --pki DIR. With {NO_TLS_SWITCH} the session runs over plain TCP: nothing is encrypted, "
        "neither side is authenticated, and anybody on the link can read and control it. For laboratories only"
    )


def _folder(given: Path, role: Role) -> Path:
    """The directory of the identity: the one of this role in a PKI, else what was given."""
    from certs.directory import is_pki

    return given / ("secc" if role == "SECC" else "vehicle") if is_pki(given) else given


def _identity(folder: Path, passphrase_file: Path | None) -> Identity:
    from certs.errors import CertsError
    from certs.identity import Identity

    try:
        return Identity.load(folder, passphrase_file=passphrase_file)
    except CertsError as error:
        raise UsageError(error.diagnostics()) from error


def _staple(folder: Path) -> Callable[[], bytes]:
    """The OCSP response of the directory at the time: whoever renews it need not stop the charger."""
    from certs.identity import STATUS

    def read() -> bytes:
        try:
            return (folder / STATUS).read_bytes()
        except OSError:
            return b""

    return read


def _policy(*, lab: bool) -> Policy | None:
    from certs.chain import LAB

    return LAB if lab else None


def _evidence(files: list[Path]) -> Callable[[], Evidence]:
    """What the files say at the time: they may be replaced while the charger runs, an unreadable one says nothing."""
    from certs.chain import Evidence

    for file in files:
        if not file.is_file():
            raise UsageError(f"--revocation {file}: there is no such file")

    def read() -> Evidence:
        found = []
        for file in files:
            with contextlib.suppress(OSError):
                found.append(file.read_bytes())
        return Evidence(ocsp=tuple(found), crls=tuple(found))

    return read


@contextlib.contextmanager
def _key_log(path: Path | None) -> Iterator[Callable[[str], None] | None]:
    """Appends key log lines to a file that nobody else may read."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        path.chmod(0o600)  # one that was there already
    except OSError as error:
        raise UsageError(f"--keylog {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "a", encoding="ascii") as file:

        def write(line: str) -> None:
            file.write(line.rstrip("\n") + "\n")
            file.flush()

        yield write
