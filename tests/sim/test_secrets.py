"""No secret is told: keys of certificates, of contracts, of TLS connections and of the powerline, wherever one may look.

Whole plug-ins by SLAC, TLS and contract are searched for every secret that they had, in every form it could take: in
events and their records, in logs, in reprs of what holds the secrets, in reports of failures.
"""

from __future__ import annotations

import base64
import dataclasses
import gc
import logging
import re
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from iso15118.sim.contracts import contract_pki, plug_and_charge
from iso15118.sim.log import log_lines
from iso15118.sim.plugged import plug_in, trust
from iso15118.sim.run import simulate
from iso15118.sim.tls import Credentials, credentials
from iso15118.slac.keys import NetworkKey
from iso15118.tls.machine import TlsMachine

FEWEST_OCTETS = 12
"""A piece this long is no accident."""


def octets_of(key: Any) -> bytes:
    """The secret part of a private key."""
    if hasattr(key, "private_numbers"):
        return key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8)
    return key.private_bytes_raw()


def forms(secret: bytes) -> set[str]:
    """How a secret could stand in a text; the middle of it, because its ends may be cut or padded."""
    shown = {secret.hex(), secret.hex().upper(), str(int.from_bytes(secret)), f"{int.from_bytes(secret):x}"}
    shown |= {base64.b64encode(secret[skip:]).decode()[:-4] for skip in range(3)}
    shown |= {base64.urlsafe_b64encode(secret[skip:]).decode()[:-4] for skip in range(3)}
    shown |= {repr(secret)[2:-1], ", ".join(map(str, secret)), secret.hex(" "), secret.hex(":")}
    return {form for form in shown if len(form) >= FEWEST_OCTETS}


def pem_of(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Kept:
    """Every secret of a run: known beforehand, or caught where it was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.network: list[NetworkKey] = []
        fresh = NetworkKey.fresh.__func__

        def caught(cls: type[NetworkKey], entropy: Any) -> NetworkKey:
            self.network.append(fresh(cls, entropy))
            return self.network[-1]

        monkeypatch.setattr(NetworkKey, "fresh", classmethod(caught))

    def credentials(self) -> Credentials:
        """Good ones, whose TLS secrets are caught here."""
        good = credentials()
        return Credentials(
            *(dataclasses.replace(side, key_log=self.lines.append) for side in (good.secc, good.evcc))
        )

    def certificates(self) -> list[Any]:
        pnc, tls = plug_and_charge(install=True), credentials()
        identities = [pnc.cps, *pnc.waiting, tls.secc.identity, tls.evcc.identity]
        own = [pnc.wallet.provisioning.key.private, plug_and_charge().wallet.contracts[0].key.private]
        authorities = [authority.key for authority in contract_pki().authorities.values()]
        return [*(identity.key for identity in identities), *own, *authorities]

    def all(self) -> dict[str, bytes]:
        """Name and octets."""
        found = {f"certificate {n}": octets_of(key) for n, key in enumerate(self.certificates())}
        found |= {f"NMK {n}": key.nmk for n, key in enumerate(self.network)}
        for n, line in enumerate(self.lines):
            label, _, secret = line.split()
            found[f"{label} {n}"] = bytes.fromhex(secret)
        return found


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(monkeypatch)


def shown_in(text: str, secrets: dict[str, bytes]) -> list[str]:
    """The secrets that a text shows."""
    found = [name for name, secret in secrets.items() if any(form in text for form in forms(secret))]
    return found + re.findall("BEGIN [A-Z ]*PRIVATE KEY", text)


def test_the_search_finds_what_is_there(kept):
    """A search that finds nothing in anything would pass every test."""
    for key in kept.certificates():
        secret = octets_of(key)
        for form in forms(secret):
            assert shown_in(f"x{form}y", {"it": secret}) == ["it"]
        assert shown_in(pem_of(key), {})
        assert shown_in(str({"key": secret}), {"it": secret}) == ["it"]
    assert not shown_in("0" * 500, kept.all())


def test_no_event_log_or_report_of_a_whole_plug_in_shows_a_secret(kept, caplog, monkeypatch):
    """Matching on the powerline, TLS, a contract fetched and paid with."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(trust, "credentials", kept.credentials)
    run = plug_in("DC", "dynamic", 4, loops=8, tls=True, auth="pnc", install=True)
    assert run.ok and run.completed, run.explain()
    secrets = kept.all()
    assert {name.split()[0] for name in secrets} >= {"certificate", "NMK", "CLIENT_TRAFFIC_SECRET_0"}
    assert any(type(e).__name__ == "MessageSent" and "Installation" in repr(e) for e in run.events)
    parts = {
        "log": "\n".join(run.log_lines()),
        "reprs": "\n".join(map(repr, run.events)),
        "report": run.explain(),
        "records": caplog.text,
    }
    for name, text in parts.items():
        assert shown_in(text, secrets) == [], name


@pytest.mark.parametrize(
    "attack",
    [
        "",
        "bad_vehicle",
        "bad_contract(SWAPPED_KEY)",
        "spoilt_installation",
        "foreign_back_end",
        "tls_tamper(0.3)",
    ],
)
def test_no_refusal_or_failure_shows_a_secret(kept, caplog, attack):
    caplog.set_level(logging.DEBUG)
    install = attack in ("", "spoilt_installation", "foreign_back_end")
    run = simulate(seed=2, loops=3, auth="pnc", install=install, faults=attack, tls=kept.credentials())
    text = "\n".join([*log_lines(run.events), *map(repr, run.events), run.explain(), caplog.text])
    text += repr(run) + repr(run.scenario) + repr(run.ends)
    assert shown_in(text, kept.all()) == []


def test_nothing_that_holds_a_secret_shows_it_in_its_repr(kept):
    """Every object of ours that is alive during a session by contract, however deep inside."""
    pnc, tls = plug_and_charge(install=True), kept.credentials()
    run = simulate(seed=6, loops=2, auth="pnc", install=True, tls=tls)
    holders = [
        pnc,
        pnc.wallet,
        pnc.wallet.provisioning,
        pnc.trust,
        pnc.cps,
        tls,
        tls.secc,
        contract_pki(),
        run,
    ]
    holders += [e.question for e in run.events if hasattr(e, "question")]
    holders += [each for each in gc.get_objects() if isinstance(each, TlsMachine)]
    text = "\n".join(f"{holder!r}\n{holder!s}" for holder in holders)
    assert shown_in(text, kept.all()) == []


def test_an_exception_in_the_middle_shows_no_secret(kept, monkeypatch):
    """The traceback of a defect of ours, as a user would send it in."""
    from iso15118.evcc.iso20 import pnc

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(pnc, "open_installation", broken)
    try:
        run = simulate(seed=6, loops=2, auth="pnc", install=True, tls=kept.credentials())
        text = "\n".join([*log_lines(run.events), *map(repr, run.events), run.explain()])
    except RuntimeError as error:
        text = "".join(traceback.format_exception(error))
    assert "on purpose" in text
    assert shown_in(text, kept.all()) == []
