"""Attacks on simulated sessions: each by name, every defect of certificates, many by chance, and the checkers themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from certs.defects import RECIPES, Defect
from certs.pki import TestPki
from certs.profiles import Role
from certs.reasons import EXPLANATIONS
from iso15118.control.ev import StoreContract
from iso15118.control.evse import CloseContactor, SetDcTarget
from iso15118.discovery.events import SeccFound
from iso15118.errors import ConfigError
from iso15118.events import CommandIssued, EndReason, MessageReceived, MessageSent, QuestionAsked
from iso15118.messages.iso20.types import ResponseCode
from iso15118.security import plug_and_charge as product
from iso15118.security.chains import Judgement
from iso15118.security.signature import Verdict
from iso15118.sim import checkers, security_checks, soak
from iso15118.sim.attacks import ATTACKS, BY_CONTRACT, FETCHES, draw_attack
from iso15118.sim.contracts import contract_pki
from iso15118.sim.faults import KINDS, Fault, parse
from iso15118.sim.run import Run, simulate
from iso15118.sim.scenarios import COMBINATIONS
from iso15118.sim.tls import simulated_pki
from iso15118.sim.world import Recording
from iso15118.tls.events import TlsFailed


def attacked(name: str, seed: int = 3, **more: Any) -> Run:
    """A session with what the attack needs to hit."""
    kind = name.partition("(")[0]
    auth = "pnc" if kind in BY_CONTRACT else "eim"
    more = {"loops": 6, "tls": True, "auth": auth, "install": kind in FETCHES} | more
    return simulate("DC", "dynamic", seed, faults=name, **more)


def energised(run: Run) -> list[Any]:
    power = (SetDcTarget, CloseContactor)
    return [e for e in run.events if isinstance(e, CommandIssued) and isinstance(e.command, power)]


def codes_of(run: Run, name: str) -> list[Any]:
    found = (e.message for e in run.messages if type(e.message).__name__ == name)
    return [message.response_code for message in found]


# --- one by one -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("changed_challenge", ResponseCode.WARNING_CHALLENGE_INVALID),
        ("replayed_authorization", ResponseCode.WARNING_CHALLENGE_INVALID),
        ("pasted_challenge", ResponseCode.FAILED_SIGNATURE_ERROR),
        ("spoilt_signature(0)", ResponseCode.FAILED_SIGNATURE_ERROR),
        ("spoilt_signature(1)", ResponseCode.FAILED_SIGNATURE_ERROR),
        ("no_signature", ResponseCode.FAILED_SIGNATURE_ERROR),
        ("malformed_contract(CUT)", ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        ("malformed_contract(NOISE)", ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        ("malformed_contract(EMPTY)", ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        ("malformed_contract(LONG)", ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        ("foreign_contract", ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR),
        ("bad_contract(SWAPPED_KEY)", ResponseCode.FAILED_SIGNATURE_ERROR),
        ("bad_contract(REVOKED)", ResponseCode.WARNING_CERTIFICATE_REVOKED),
    ],
)
def test_a_false_authorization_gets_its_code_and_nothing_else(attack, code):
    run = attacked(attack)
    assert codes_of(run, "AuthorizationRes") == [code]
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.parametrize("attack", ["foreign_back_end", "bad_back_end(FORGED)", "spoilt_installation(0.3)"])
def test_a_false_contract_is_not_stored(attack):
    run = attacked(attack)
    assert codes_of(run, "CertificateInstallationRes") == [ResponseCode.OK]
    assert not any(isinstance(e, QuestionAsked) and isinstance(e.question, StoreContract) for e in run.events)
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.parametrize("side", ["SECC", "EVCC"])
@pytest.mark.parametrize("at", [0.0, 0.02, 0.3, 4.9])
@pytest.mark.parametrize("attack", ["tls_tamper", "tls_replay", "tls_drop", "tls_inject"])
def test_what_is_changed_on_its_way_ends_the_session(attack, at, side):
    run = attacked(f"{attack}(at={at}, side={side})")
    ((hit, name, sender),) = run.recording.hits
    assert (name, sender) == (attack, side)
    assert not run.completed
    assert not run.violations, run.explain()
    receiver = run.ends["SECC" if side == "EVCC" else "EVCC"]
    assert receiver.t >= hit
    if attack != "tls_drop":
        assert receiver.reason is EndReason.SECURITY


@pytest.mark.parametrize("attack", ["tls_garbage(SECC)", "tls_garbage(EVCC)", "stalled_handshake(40, EVCC)"])
def test_no_handshake_no_session(attack):
    run = attacked(attack)
    assert not run.messages
    assert {end.reason for end in run.ends.values()} == {EndReason.SECURITY}
    assert max(end.t for end in run.ends.values()) < 10.1
    assert not run.violations, run.explain()


def test_an_older_tls_or_protocol_is_not_agreed_on():
    rewritten, offered = attacked("tls_downgrade"), attacked("older_protocol")
    assert rewritten.recording.hits and not rewritten.messages
    assert {end.reason for end in rewritten.ends.values()} == {EndReason.SECURITY}
    response = next(e.message for e in offered.messages if e.role == "SECC")
    assert response.response_code.name == "FAILED_NO_NEGOTIATION"
    for run in (rewritten, offered):
        assert not energised(run)
        assert not run.violations, run.explain()


def test_discovery_that_says_no_tls_is_not_followed():
    answered, asked = attacked("sdp_downgrade(SECC)"), attacked("sdp_downgrade(EVCC)")
    assert answered.recording.discovery_failed and not answered.messages
    assert asked.completed and asked.recording.tls  # the station has nothing but TLS to offer
    assert not answered.violations and not asked.violations


@pytest.mark.parametrize("value", ["OTHER", "ZERO", "NEXT"])
@pytest.mark.parametrize("side", ["SECC", "EVCC"])
def test_regression_01_another_session_id_ends_the_session_at_any_time(side, value):
    run = attacked(f"foreign_session_id(at=4.9, side={side}, value={value})")
    assert not run.completed
    assert not run.violations, run.explain()
    if side == "EVCC":
        assert run.messages[-1].message.response_code is ResponseCode.FAILED_UNKNOWN_SESSION


# --- every defect -----------------------------------------------------------------------------

ROLES = {
    "bad_station": Role.SECC,
    "bad_vehicle": Role.VEHICLE,
    "bad_contract": Role.CONTRACT,
    "bad_back_end": Role.CPS,
    "bad_provisioning": Role.PROVISIONING,
}


def pki_of(role: Role) -> TestPki:
    return simulated_pki() if role in (Role.SECC, Role.VEHICLE) else contract_pki()


def choices(attack: str) -> tuple[str, ...]:
    return ATTACKS[attack].parameters[0].choices


@pytest.mark.parametrize("attack", ROLES)
def test_every_defect_that_can_be_made_is_tried(attack):
    """Those left out: told, not refused (a contract's check digit), or no key that TLS would load (swapped)."""
    left_out = {
        "bad_station": {"SWAPPED_KEY"},
        "bad_vehicle": {"SWAPPED_KEY"},
        "bad_contract": {"WRONG_CHECK_DIGIT"},
    }
    possible = {defect.name for defect in pki_of(ROLES[attack]).possible_defects(ROLES[attack])}
    assert set(choices(attack)) == possible - left_out.get(attack, set())


CONNECTION = [(a, d) for a in ("bad_station", "bad_vehicle") for d in choices(a) if d != "WRONG_CURVE"]


OTHER_ALERTS = {
    # The TLS library looks for a path first, and finds none with this authority in it.
    ("", "FORGED"): "unknown_ca",
    ("", "PATH_LENGTH"): "unknown_ca",
    ("", "UNFIT_SUB_CA"): "unknown_ca",
    # What is wrong is told by the staple, or, of a vehicle, which staples nothing, by what the station knows.
    ("bad_station", "REVOKED"): "bad_certificate_status_response",
    ("bad_vehicle", "STALE_STATUS"): "bad_certificate",
}


@pytest.mark.parametrize(("attack", "defect"), CONNECTION)
def test_every_defect_of_a_connection_is_refused_with_its_alert(attack, defect):
    """By the side that has to, and told to the other; nothing is energised."""
    run = attacked(f"{attack}({defect})")
    judge = "EVCC" if attack == "bad_station" else "SECC"
    (own,) = (e for e in run.events if isinstance(e, TlsFailed) and e.role == judge)
    assert "the peer's certificate is refused: " in own.reason
    assert "verification error" not in own.reason
    expected = EXPLANATIONS[RECIPES[Defect[defect]].reason].alert.partition(" (")[0]
    alert = OTHER_ALERTS.get((attack, defect), OTHER_ALERTS.get(("", defect), expected))
    told = " ".join(end.detail for end in run.ends.values() if end.role != judge)
    assert alert.replace("_", " ") in told
    assert {end.reason for end in run.ends.values()} == {EndReason.SECURITY}
    assert not energised(run)
    assert not run.violations, run.explain()


@pytest.mark.parametrize(
    ("attack", "why"),
    [("bad_station(WRONG_CURVE)", "protocol version"), ("bad_vehicle(WRONG_CURVE)", "certificate required")],
)
def test_a_certificate_of_another_curve_does_not_even_get_that_far(attack, why):
    run = attacked(attack)
    assert why in run.ends["EVCC"].detail
    assert not run.messages or all(e.role == "EVCC" for e in run.messages)
    assert not energised(run)


@pytest.mark.parametrize("defect", choices("bad_contract"))
def test_every_defect_of_a_contract_gets_its_code(defect):
    """Some the car sees itself, and does not show the contract."""
    run = attacked(f"bad_contract({defect})")
    assert codes_of(run, "AuthorizationRes") == ([] if defect in SEEN_BY_THE_CAR else [code_of(defect)])
    assert not energised(run)
    assert not run.violations, run.explain()


def code_of(defect: str) -> ResponseCode:
    """A contract under another's key shows by its signature, before its chain is looked at."""
    if defect == "SWAPPED_KEY":
        return ResponseCode.FAILED_SIGNATURE_ERROR
    return ResponseCode(EXPLANATIONS[RECIPES[Defect[defect]].reason].iso20)


SEEN_BY_THE_CAR = ("EXPIRED", "NOT_YET_VALID", "WRONG_CURVE", "OVERSIZE")


@pytest.mark.parametrize(
    ("attack", "defect"), [(a, d) for a in ("bad_back_end", "bad_provisioning") for d in choices(a)]
)
def test_every_defect_on_the_way_of_a_contract_stops_it(attack, defect):
    run = attacked(f"{attack}({defect})")
    assert not any(isinstance(e, QuestionAsked) and isinstance(e.question, StoreContract) for e in run.events)
    if attack == "bad_provisioning" and codes_of(run, "CertificateInstallationRes"):
        # There is no operator who could know this root: the code of contracts would be wrong here.
        unknown = defect == "UNKNOWN_ROOT"
        code = ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR if unknown else code_of(defect)
        assert codes_of(run, "CertificateInstallationRes") == [code]
    assert not energised(run)
    assert not run.violations, run.explain()


# --- by chance --------------------------------------------------------------------------------


def test_many_attacks_break_no_rule():
    jobs = [soak.Job(e, c, seed, faulty=True, secure=True) for seed in range(6) for e, c in COMBINATIONS]
    total = soak.soak(jobs, processes=1)
    assert [text for tally in total.values() for text in tally.failures] == []
    assert sum(tally.runs for tally in total.values()) == 48
    assert len(total) > 10


def test_without_attacks_secure_sessions_are_completed():
    jobs = [soak.Job(e, c, 1, faulty=False, secure=True) for e, c in COMBINATIONS]
    for job in jobs:
        run = soak.run_secure(job)
        assert run.ok, run.explain()
        assert run.recording.tls


def test_the_same_seed_is_the_same_attack_and_the_same_log():
    assert draw_attack(7) == draw_attack(7)
    assert {draw_attack(seed).name for seed in range(300)} == set(ATTACKS)
    first, second = (attacked("replayed_authorization") for _ in range(2))
    assert first.log_hash == second.log_hash


def test_the_command_line_knows_them(capsys):
    assert soak.main(["--secure", "--seeds", "1"]) == 0
    assert "8 sessions, 0 failed" in capsys.readouterr().out


# --- by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "given", "why"),
    [
        ("tls_tamper", {}, "accepted: tls=True"),
        ("no_signature", {"tls": True}, "accepted: auth='pnc' without install"),
        ("no_signature", {"tls": True, "auth": "pnc", "install": True}, "without install"),
        ("spoilt_installation", {"tls": True, "auth": "pnc"}, "accepted: auth='pnc' with install=True"),
    ],
)
def test_an_attack_without_a_target_is_told(attack, given, why):
    with pytest.raises(ConfigError, match=why):
        simulate("DC", faults=attack, **given)


def test_attacks_never_come_by_chance_into_ordinary_sessions():
    assert not set(ATTACKS) & set(KINDS)
    assert all(f.name in KINDS for seed in range(50) for f in parse("random", seed=seed, more=ATTACKS))


def test_tests_of_others_write_them_like_faults(v2g):
    run = v2g.session(
        seed=3, loops=2, tls=True, auth="pnc", faults=[v2g.bad_contract("FORGED"), v2g.tcp_jitter()]
    )
    assert codes_of(run, "AuthorizationRes") == [ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR]
    with pytest.raises(ConfigError, match="accepted"):
        v2g.bad_contract("RUSTY")


def test_a_written_attack_reads_back():
    for name in ATTACKS:
        made = next(f for f in map(draw_attack, range(400)) if f.name == name)
        assert parse(str(made), more=ATTACKS) == (made,)


# --- the checkers -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound() -> Recording:
    """An undisturbed session by contract behind TLS."""
    run = attacked("", auth="pnc")
    assert run.ok and run.completed
    return run.recording


def doctored(recording: Recording, **changes: Any) -> set[str]:
    """The security rules that a recording with changes breaks."""
    changed = dataclasses.replace(recording, **changes)
    names = {checker: name for name, checker in checkers.CHECKERS}
    return {names[c] for c in SECURITY if list(c(changed))}


SECURITY = [c for _, c in checkers.CHECKERS if c.__module__ == security_checks.__name__]


def events(recording: Recording, change: Any) -> list[Any]:
    return [changed for event in recording.events if (changed := change(event)) is not None]


def is_message(event: Any, kind: type, role: str, name: str) -> bool:
    return isinstance(event, kind) and event.role == role and type(event.message).__name__ == name


def altered(event: Any, **changes: Any) -> Any:
    return replace(event, message=replace(event.message, **changes))


def test_checkers_see_energy_without_authorization(sound):
    def change(e):
        return None if is_message(e, MessageSent, "SECC", "AuthorizationRes") else e

    broken = doctored(sound, events=events(sound, change))
    assert broken == {"energy needs authorization", "what arrives was sent"}


def test_checkers_see_energy_under_a_refusal(sound):
    def change(e):
        refused = is_message(e, MessageSent, "SECC", "AuthorizationRes")
        return altered(e, response_code=ResponseCode.WARNING_CHALLENGE_INVALID) if refused else e

    assert "energy needs authorization" in doctored(sound, events=events(sound, change))


@pytest.mark.parametrize("name", sorted(security_checks.HOPELESS))
def test_checkers_see_an_accepted_forgery(sound, name):
    assert "no forgery is accepted" in doctored(sound, faults=(fault_of(name),))


def fault_of(name: str) -> Any:
    return Fault(name, tuple((p.name, p.default) for p in ATTACKS[name].parameters))


def test_checkers_see_a_stored_forgery(sound):
    stored = QuestionAsked(t=1.0, role="EVCC", question=StoreContract(None))
    recording = dataclasses.replace(sound, events=[stored], delivered_wh=0.0, fed_back_wh=0.0)
    (found,) = security_checks.no_forgery_is_accepted(
        dataclasses.replace(recording, faults=(fault_of("bad_back_end"),))
    )
    assert "stored" in found[1]


def test_checkers_see_another_challenge_accepted(sound):
    def change(e):
        if not is_message(e, MessageReceived, "SECC", "AuthorizationReq"):
            return e
        return altered(e, authorization_mode=replace(e.message.authorization_mode, gen_challenge=bytes(16)))

    assert doctored(sound, events=events(sound, change)) == {"challenge is the own one"}


def test_checkers_see_what_was_not_sent(sound):
    received = next(e for e in sound.events if is_message(e, MessageReceived, "SECC", "SessionSetupReq"))
    others = [replace(e, exi=b"\x80") if e is received else e for e in sound.events]
    assert doctored(sound, events=others) == {"what arrives was sent"}
    twice = [e for each in sound.events for e in [each] * (1 + (each is received))]
    assert doctored(sound, events=twice) == {"what arrives was sent"}
    assert doctored(sound, hits=[(1.0, "tls_tamper", "EVCC")]) == {"what arrives was sent"}


def test_checkers_see_a_downgrade(sound):
    found = SeccFound(t=0.0, role="EVCC", address="fe80::1", port=50_000, tls=False)
    assert doctored(sound, events=[found, *sound.events]) == {"no downgrade"}


def test_checkers_see_a_car_that_goes_on_under_another_session_id(sound):
    def change(e):
        foreign = is_message(e, MessageReceived, "EVCC", "ServiceDetailRes")
        return altered(e, header=replace(e.message.header, session_id=bytes(8))) if foreign else e

    assert doctored(sound, events=events(sound, change)) == {"nothing under another session id"}


# --- crippled machines ------------------------------------------------------------------------


def test_a_station_that_verifies_nothing_is_found_out(monkeypatch):
    monkeypatch.setattr(product, "verify", lambda *_, **__: Verdict(None))
    for attack in ("spoilt_signature", "pasted_challenge", "no_signature", "bad_contract(SWAPPED_KEY)"):
        assert "no forgery is accepted" in {v.checker for v in attacked(attack).violations}


def test_a_station_that_compares_no_challenge_is_found_out(monkeypatch):
    monkeypatch.setattr(product.hmac, "compare_digest", lambda *_: True)
    rules = {v.checker for v in attacked("replayed_authorization").violations}
    assert {"no forgery is accepted", "challenge is the own one"} <= rules


def test_a_station_that_trusts_everybody_is_found_out(monkeypatch):
    monkeypatch.setattr(product, "judged", lambda *_: Judgement(identity="DETSTC12345678"))
    assert "no forgery is accepted" in {v.checker for v in attacked("foreign_contract").violations}


def test_a_connection_that_judges_no_certificate_is_found_out(monkeypatch):
    monkeypatch.setattr("certs.checks.of_vehicles", lambda *_: lambda _chain: "")
    assert "no forgery is accepted" in {v.checker for v in attacked("bad_vehicle(NO_KEY_USAGE)").violations}
