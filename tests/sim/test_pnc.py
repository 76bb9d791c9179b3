"""Plug & Charge from plug to plug under virtual time: sessions, refusals, faults and attacks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from certs import TestPki
from certs.defects import Defect
from certs.profiles import Role
from iso15118.control.evse import CloseContactor, ContractResponse, SetDcTarget
from iso15118.errors import ConfigError
from iso15118.evcc.iso20.setup import negotiate, set_up
from iso15118.events import (
    CommandIssued,
    Decision,
    EndReason,
    MessageReceived,
    MessageSent,
    QuestionAsked,
    SessionEstablished,
)
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import ResponseCode
from iso15118.runtime.security import Security
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, OwnKey, Wallet
from iso15118.security.plug_and_charge import StationTrust, proof
from iso15118.sim.checkers import check
from iso15118.sim.contracts import PlugAndCharge, contract_pki, plug_and_charge
from iso15118.sim.faults import draw
from iso15118.sim.log import log_lines
from iso15118.sim.run import simulate
from iso15118.sim.scenarios import COMBINATIONS, basic, varied
from iso15118.sim.tls import Credentials

PROJECT = Path(__file__).resolve().parents[2]
POWER = (SetDcTarget, CloseContactor)


def scenario_with(energy="DC", control="dynamic", *, install=False, **changes):
    """A plain session with Plug & Charge changed."""
    return replace(basic(energy, control, loops=6), pnc=replace(plug_and_charge(install=install), **changes))


def wallet_of(*identities):
    return Wallet(tuple(Contract.of(x) for x in identities), plug_and_charge().wallet.provisioning)


def energised(run):
    return [e for e in run.events if isinstance(e, CommandIssued) and isinstance(e.command, POWER)]


def codes_of(run, name):
    """The response codes of one kind of response, in order."""
    found = (e.message for e in run.messages if type(e.message).__name__ == name)
    return [message.response_code for message in found]


# --- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
def test_every_service_charges_by_contract_and_confirms_the_meter(energy, control):
    run = simulate(energy, control, 5, loops=12, auth="pnc")
    assert run.ok, run.explain()
    assert run.completed
    assert codes_of(run, "AuthorizationRes")[-1] is ResponseCode.OK
    assert set(codes_of(run, "MeteringConfirmationRes")) == {ResponseCode.OK}
    questions = [e.question for e in run.events if isinstance(e, QuestionAsked) and e.role == "SECC"]
    assert (questions[0].service, questions[0].emaid[:5]) == ("PnC", "DETST")


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("energy", ["DC_BPT", "AC"])
def test_car_fetches_a_contract_and_charges_with_it(energy, tls):
    run = simulate(energy, "scheduled", 8, loops=6, auth="pnc", install=True, tls=tls)
    assert run.ok, run.explain()
    assert run.completed
    assert codes_of(run, "CertificateInstallationRes") == [ResponseCode.OK]
    assert run.delivered_wh != 0


def paying(curve):
    """A car with a contract and a station that takes it, on this curve."""
    pki = TestPki(contract_pki().at, curve=curve)
    trust = StationTrust(RootsJudge(Role.CONTRACT, pki.roots[Role.MO_ROOT]))
    return PlugAndCharge(trust, Wallet((Contract.of(pki.contract()),)))


@pytest.mark.parametrize("contract", ["secp521r1", "ed448"])
@pytest.mark.parametrize("connection", ["secp521r1", "ed448"])
def test_both_curves_of_the_standard_on_tls_and_in_contracts(connection, contract):
    pki = TestPki(contract_pki().at, curve=connection)
    tls = Credentials(Security(pki.secc()), Security(pki.vehicle()))
    run = simulate(scenario=replace(basic("DC", loops=3), tls=tls, pnc=paying(contract)))
    assert run.ok and run.completed, run.explain()
    why = " ".join(e.why for e in run.events if isinstance(e, Decision) and e.what == "AuthorizationReq")
    assert ("ed448" if contract == "ed448" else "ecdsa-sha512") in why


def test_same_seed_same_log():
    first, second, other = (simulate(seed=s, loops=5, auth="pnc", install=True) for s in (4, 4, 5))
    assert first.log_hash == second.log_hash
    assert first.log_hash != other.log_hash


@pytest.mark.parametrize("seed", range(12))
def test_faults_break_no_rule_with_contracts_either(seed):
    energy, control = COMBINATIONS[seed % 8]
    pnc = plug_and_charge(install=bool(seed % 3 == 0))
    scenario = replace(varied(energy, control, seed), pnc=pnc)
    run = simulate(seed=seed, faults=draw(seed, dc=energy.startswith("DC")), scenario=scenario, limit_s=900.0)
    assert run.ok, run.explain()


def test_unknown_means_are_told():
    for wrong in ({"auth": "rfid"}, {"install": True}):
        with pytest.raises(ConfigError, match="accepted: 'eim'"):
            simulate(**wrong)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        (Defect.EXPIRED_SUB_CA, ResponseCode.WARNING_CERTIFICATE_EXPIRED),
        (Defect.UNKNOWN_ROOT, ResponseCode.WARNING_EMSP_UNKNOWN),
        (Defect.FORGED, ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.WRONG_ROLE, ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.SWAPPED_KEY, ResponseCode.FAILED_SIGNATURE_ERROR),
    ],
)
def test_contract_with_a_defect_gets_its_code_and_no_energy(defect, code):
    wallet = wallet_of(contract_pki().contract(defect=defect))
    run = simulate(scenario=scenario_with(wallet=wallet))
    assert codes_of(run, "AuthorizationRes") == [code]
    assert not run.violations, run.explain()
    assert not energised(run)
    assert {end.reason for end in run.ends.values()} <= {EndReason.COMPLETED, EndReason.REFUSED}
    assert run.delivered_wh == 0


def test_threat_contract_of_another_root_of_the_same_name():
    stranger = TestPki(contract_pki().at)
    run = simulate(scenario=scenario_with(wallet=wallet_of(stranger.contract())))
    assert codes_of(run, "AuthorizationRes") == [ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR]
    assert not energised(run)


def test_refused_contract_and_then_the_next_one():
    forged, good = contract_pki().contract(defect=Defect.FORGED), contract_pki().contract()
    run = simulate(scenario=scenario_with(wallet=wallet_of(forged, good)))
    assert run.completed, run.explain()
    warning, accepted = codes_of(run, "AuthorizationRes")
    assert (warning.value[:7], accepted) == ("WARNING", ResponseCode.OK)


@pytest.mark.parametrize("accept", [False, True])
def test_station_asks_its_operator_in_any_case(accept):
    pnc = scenario_with()
    run = simulate(scenario=replace(pnc, evse=replace(pnc.evse, accept=accept)))
    assert bool(energised(run)) is accept
    last = ResponseCode.OK if accept else ResponseCode.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR
    assert codes_of(run, "AuthorizationRes")[-1] is last


def test_threat_provisioning_service_of_strangers_gives_the_car_nothing():
    stranger = TestPki(contract_pki().at)
    run = simulate(scenario=scenario_with(install=True, cps=stranger.cps()))
    assert codes_of(run, "CertificateInstallationRes") == [ResponseCode.OK]
    assert not [
        e for e in run.events if isinstance(e, QuestionAsked) and "Store" in type(e.question).__name__
    ]
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.parametrize("slow_s", [2.0, 20.0, 54.0, 80.0])
def test_back_end_takes_its_time(slow_s):
    pnc = scenario_with(install=True)
    run = simulate(scenario=replace(pnc, evse=replace(pnc.evse, install_s=slow_s)))
    assert not run.violations, run.explain()
    final = codes_of(run, "CertificateInstallationRes")[-1]
    assert final is (ResponseCode.OK if slow_s < 55 else ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE)
    assert bool(energised(run)) is (slow_s < 55)


def test_vehicle_that_nobody_knows_gets_no_contract():
    run = simulate(scenario=scenario_with(install=True, waiting=()))
    assert codes_of(run, "CertificateInstallationRes") == [
        ResponseCode.WARNING_NO_CONTRACT_MATCHING_PCID_FOUND
    ]
    assert not energised(run)
    assert ContractResponse().exi == b""


# --- attacks --------------------------------------------------------------------------------------


def rude(act):
    """A session of a car that goes as far as AuthorizationSetup and then does `act(ev, setup)`."""

    async def script(ev):
        await negotiate(ev)
        await set_up(ev)
        setup = await ev.ask(common.AuthorizationSetupReq(header=ev.header), common.AuthorizationSetupRes)
        await act(ev, setup)

    return script


def claim(ev, mode, signature):
    return common.AuthorizationReq(
        header=replace(ev.header, signature=signature),
        selected_authorization_service=common.Authorization.PNC,
        authorization_mode=mode,
    )


def recorded(seed):
    """The AuthorizationReq of an honest session, as an eavesdropper has it."""
    messages = simulate(seed=seed, loops=2, auth="pnc").messages
    return next(e.message for e in messages if isinstance(e.message, common.AuthorizationReq))


@pytest.mark.req("V2G20-2565")
def test_threat_replayed_authorization_is_refused():
    stolen, seen = recorded(1), []

    async def replay(ev, setup):
        request = claim(ev, stolen.authorization_mode, stolen.header.signature)
        response = await ev.ask(request, common.AuthorizationRes)
        seen.append(response.response_code)
        discovery = common.ServiceDiscoveryReq(header=ev.header)
        failed = await ev.ask(discovery, common.ServiceDiscoveryRes, accept_failure=True)
        seen.append(failed.response_code)

    run = simulate(scenario=scenario_with(), seed=2, script=rude(replay))
    assert seen == [ResponseCode.WARNING_CHALLENGE_INVALID, ResponseCode.FAILED_SEQUENCE_ERROR]
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.req("V2G20-1063")
@pytest.mark.parametrize("how", ["swapped challenge", "wrapped", "stolen chain"])
def test_threat_tampered_authorization_ends_the_session(how):
    victim, thief = contract_pki().contract(), contract_pki().contract("DE-TST-C00000077")
    seen = []

    async def tamper(ev, setup):
        challenge = setup.authorization_mode.gen_challenge
        mode, signature = proof(challenge, victim.chain, OwnKey(victim.key))
        if how == "swapped challenge":  # signed for another station, sent with the challenge of this one
            mode, signature = proof(bytes(16), victim.chain, OwnKey(victim.key))
            mode = replace(mode, gen_challenge=challenge)
        elif how == "wrapped":  # the signed element is not the one that is used
            other, _ = proof(challenge, thief.chain, OwnKey(thief.key))
            mode = replace(other, id="id2")
        else:  # the victim's certificates under the thief's key
            mode, signature = proof(challenge, victim.chain, OwnKey(thief.key))
        response = await ev.ask(claim(ev, mode, signature), common.AuthorizationRes, accept_failure=True)
        seen.append(response.response_code)

    run = simulate(scenario=scenario_with(), script=rude(tamper))
    assert seen == [ResponseCode.FAILED_SIGNATURE_ERROR]
    assert run.ends["SECC"].reason is EndReason.REFUSED
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.req("V2G20-460")
@pytest.mark.parametrize("guess", [bytes(8), b"\xff" * 8, (1).to_bytes(8)])
def test_regression_01_guessed_session_id_ends_the_session(guess):
    seen = []

    async def guessing(ev, setup):
        header = replace(ev.header, session_id=guess)
        request = common.AuthorizationReq(
            header=header,
            selected_authorization_service=common.Authorization.EIM,
            authorization_mode=common.EIM_AReqAuthorizationMode(),
        )
        response = await ev.ask(request, common.AuthorizationRes, accept_failure=True)
        seen.append((response.response_code, response.header.session_id == ev.session_id))

    run = simulate(scenario=scenario_with(), script=rude(guessing))
    assert seen == [(ResponseCode.FAILED_UNKNOWN_SESSION, True)]
    assert not energised(run)


def test_regression_01_ids_and_challenges_are_whole_draws_of_the_entropy():
    """64 and 128 bit of what the platform gives, none of it twice."""
    runs = [simulate(seed=s, loops=1, auth="pnc") for s in range(8)]
    ids = {e.session_id for run in runs for e in run.events if isinstance(e, SessionEstablished)}
    setups = [
        e.message for run in runs for e in run.messages if isinstance(e.message, common.AuthorizationSetupRes)
    ]
    challenges = {m.authorization_mode.gen_challenge for m in setups}
    assert (len(ids), len(challenges)) == (8, 8)
    assert ({len(x) for x in ids}, {len(x) for x in challenges}) == ({8}, {16})
    for position in range(8):
        assert len({x[position] for x in ids}) > 4


def test_regression_03_without_tls_facts_no_session():
    plain = scenario_with()
    from iso15118.sim.run import secc_config

    station = replace(secc_config(plain), insecure_no_tls=False)
    run = simulate(scenario=replace(plain, secc=station))
    assert run.ends["SECC"].state == "SUPPORTED_APP_PROTOCOL"
    assert not energised(run)


def test_regression_04_contracts_and_vehicles_have_roots_of_their_own():
    """A contract below the roots of vehicles is none, and the roots of contracts open no connection."""
    vehicle = contract_pki().leaf(Role.VEHICLE)
    run = simulate(scenario=scenario_with(wallet=wallet_of(vehicle)))
    assert codes_of(run, "AuthorizationRes")[-1] is ResponseCode.WARNING_EMSP_UNKNOWN
    assert not energised(run)


# --- what must not be there -----------------------------------------------------------------------


def test_no_log_shows_a_key():
    run = simulate(loops=6, auth="pnc", install=True)
    text = "\n".join(log_lines(run.events)) + run.explain() + repr(run.scenario)
    pnc = plug_and_charge(install=True)
    keys = [pnc.wallet.provisioning.key.private, pnc.cps.key, *(x.key for x in pnc.waiting)]
    assert "StoreContract" in text
    for key in keys:
        scalar = key.private_numbers().private_value
        for form in (str(scalar), f"{scalar:x}", json.dumps(scalar)):
            assert form not in text


def test_sessions_by_card_load_no_cryptography():
    program = (
        "import sys\nfrom iso15118.secc.machine import SeccMachine\nfrom iso15118.evcc.machine import EvccMachine\n"
        "from iso15118.sim.run import simulate\nassert simulate(loops=2).completed\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('cryptography', 'OpenSSL', 'certs')][:5])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.strip() == "[]"


def test_messages_of_the_side_stream_are_in_the_log():
    run = simulate(loops=12, auth="pnc")
    kinds = {e.payload_type for e in run.events if isinstance(e, MessageSent)}
    assert 0x8102 in kinds


# --- the checkers see the side stream --------------------------------------------------------------


def broken_rules(change):
    """Which rules a good recording breaks once `change` has been at its events."""
    recording = simulate(loops=12, auth="pnc").recording
    recording.events = list(change(recording.events))
    return {violation.checker for violation in check(recording)}


def is_aside(event, *, sent, role="SECC"):
    kind = MessageSent if sent else MessageReceived
    return isinstance(event, kind) and event.role == role and event.payload_type == 0x8102


def test_checkers_see_an_answer_twice_and_a_question_twice():
    twice = broken_rules(lambda events: (e for x in events for e in [x] * (1 + is_aside(x, sent=True))))
    assert "requests and responses pair" in twice
    asked = lambda x: is_aside(x, sent=True, role="EVCC")  # noqa: E731
    twice = broken_rules(lambda events: (e for x in events for e in [x] * (1 + asked(x))))
    assert "requests and responses pair" in twice


def test_checkers_see_a_late_confirmation():
    late = lambda x: replace(x, t=x.t + 1.6) if is_aside(x, sent=True) else x  # noqa: E731
    assert "responses are in time" in broken_rules(lambda events: map(late, events))


def test_checkers_see_a_confirmation_before_the_loop():
    """The loop's own messages taken away, it comes out of nowhere."""
    loops = ("DC_ChargeLoopReq", "DC_ChargeLoopRes")
    out = lambda x: type(getattr(x, "message", None)).__name__ in loops  # noqa: E731
    assert "order is legal" in broken_rules(lambda events: (x for x in events if not out(x)))
