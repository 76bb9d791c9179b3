"""An experiment from plug to plug: everything on Ed448, a contract fetched by X448 and charged with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certs.scalars import scalar_of
from iso15118.control.evse import CloseContactor, SetDcTarget
from iso15118.events import CommandIssued, Decision
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import ResponseCode
from iso15118.security.contracts import Contract
from iso15118.sim.checkers import check
from iso15118.sim.contracts import contract_pki, plug_and_charge
from iso15118.sim.log import log_lines
from iso15118.sim.plugged import plug_in, trust
from iso15118.sim.run import simulate
from iso15118.sim.scenarios import COMBINATIONS, basic

POWER = (SetDcTarget, CloseContactor)


def fetching(energy="DC", control="dynamic", *, car=True, back_end=True):
    """A session in which a car fetches its contract; who of both joins the experiment."""
    pnc = plug_and_charge(install=True, curve="ed448")
    own = replace(pnc.wallet.provisioning, experimental_x448=car)
    pnc = replace(pnc, wallet=replace(pnc.wallet, provisioning=own), experimental_x448=back_end)
    return replace(basic(energy, control, loops=6), pnc=pnc)


def codes_of(run, name):
    return [e.message.response_code for e in run.messages if type(e.message).__name__ == name]


def reasons(run, role):
    found = [e for e in run.events if isinstance(e, Decision) and e.role == role]
    return " ".join(f"{e.what}: {e.why}" for e in found)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
def test_car_fetches_a_contract_and_charges_with_it(energy, control, tls):
    run = simulate(scenario=fetching(energy, control), seed=8, tls=tls)
    assert run.ok and run.completed, run.explain()
    assert codes_of(run, "CertificateInstallationRes") == [ResponseCode.OK]
    assert codes_of(run, "AuthorizationRes")[-1] is ResponseCode.OK
    assert run.delivered_wh != 0
    (installed,) = [
        e.message for e in run.messages if isinstance(e.message, common.CertificateInstallationRes)
    ]
    assert installed.signed_installation_data.ecdh_curve is common.EcdhCurve.X448
    assert "ed448" in reasons(run, "SECC")
    assert not check(run.recording)


def test_it_pays_with_the_contract_that_it_fetched():
    run = simulate(scenario=fetching(), seed=3, tls=True)
    (claim,) = [e.message for e in run.messages if isinstance(e.message, common.AuthorizationReq)][:1]
    (waiting,) = plug_and_charge(install=True, curve="ed448").waiting
    assert claim.authorization_mode.contract_certificate_chain.certificate == waiting.chain[0]
    assert run.delivered_wh > 0


def test_same_seed_same_log():
    first, second, other = (simulate(scenario=fetching(), seed=s) for s in (4, 4, 5))
    assert first.log_hash == second.log_hash
    assert first.log_hash != other.log_hash


@pytest.mark.parametrize(("car", "back_end"), [(False, True), (True, False), (False, False)])
def test_where_one_side_does_not_join_nothing_is_fetched_and_the_reason_names_the_switch(car, back_end):
    run = simulate(scenario=fetching(car=car, back_end=back_end), seed=8, tls=True)
    assert not run.violations, run.explain()
    assert not run.completed
    assert run.delivered_wh == 0
    assert not [e for e in run.events if isinstance(e, CommandIssued) and isinstance(e.command, POWER)]
    refusing = "EVCC" if back_end else "SECC"
    assert "--experimental-x448" in reasons(run, refusing)
    codes = codes_of(run, "CertificateInstallationRes")
    wanted = ResponseCode.OK if back_end else ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE
    assert codes == [wanted]


def test_a_car_that_also_has_a_contract_falls_back_to_it():
    """One that is about to end: it would rather fetch another, and pays with it where that does not work."""
    scenario = fetching(car=False)
    old = Contract.of(contract_pki("ed448").contract("DE-TST-C00000077"))
    pnc = replace(scenario.pnc, wallet=replace(scenario.pnc.wallet, contracts=(_ending(old),)))
    run = simulate(scenario=replace(scenario, pnc=pnc), seed=8)
    assert run.ok and run.completed, run.explain()
    assert "--experimental-x448" in reasons(run, "EVCC")
    assert run.delivered_wh > 0


def _ending(contract):
    class Ending(Contract):
        def expires_soon(self, utc_s):
            return True

    return Ending(contract.emaid, contract.chain, contract.key)


def test_from_plug_to_unplug(monkeypatch):
    """Devices and powerline included."""
    monkeypatch.setattr(trust, "contracts_for", lambda auth, install: fetching().pnc)
    run = plug_in("DC", "dynamic", 4, loops=8, tls=True, auth="pnc", install=True)
    assert run.ok and run.completed, run.explain()
    assert any(
        type(e).__name__ == "MessageSent" and isinstance(e.message, common.CertificateInstallationRes)
        for e in run.events
    )
    assert secrets_in("\n".join([*run.log_lines(), *map(repr, run.events), run.explain()])) == []


def secrets_in(text):
    pki = contract_pki("ed448")
    keys = {
        "contract seed": pki.contract().key.private_bytes_raw(),
        "contract scalar": scalar_of(pki.contract().key),
        "provisioning": pki.provisioning().key.private_bytes_raw(),
        "agreement": pki.provisioning().agreement.private_bytes_raw(),
        "service": pki.cps().key.private_bytes_raw(),
    }
    found = []
    for name, octets in keys.items():
        for key in (octets, octets[::-1]):
            forms = (
                key[8:40].hex(),
                str(int.from_bytes(key)),
                repr(key[8:40])[2:-1],
                f"{int.from_bytes(key):x}",
            )
            found += [name for form in forms if form in text]
    return found


def test_no_log_shows_a_key():
    run = simulate(scenario=fetching(), seed=6, tls=True)
    text = "\n".join([*log_lines(run.events), *map(repr, run.events), run.explain(), repr(run.scenario)])
    assert "StoreContract" in text
    assert secrets_in(text) == []
    shown = text + scalar_of(contract_pki("ed448").contract().key).hex()
    assert set(secrets_in(shown)) == {"contract scalar"}, "the search finds what is there"
