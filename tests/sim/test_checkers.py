"""Each checker finds what it is there for: undisturbed recordings are doctored, machines are crippled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hal.virtual.circuit import Closing, Sample
from iso15118.control.common import CpState
from iso15118.control.evse import Deenergise, SetDcTarget
from iso15118.events import MessageReceived, MessageSent, SessionEnded
from iso15118.sim import checkers, security_checks
from iso15118.sim.run import simulate
from iso15118.sim.scenarios import basic
from iso15118.sim.world import Recording


@pytest.fixture(scope="module")
def sound() -> Recording:
    """An undisturbed session, the original: to be copied, never changed."""
    run = simulate("DC_BPT", "dynamic", seed=2, loops=50)
    assert run.ok, run.explain()
    return run.recording


def copied(recording: Recording) -> Recording:
    lists = {
        f.name: list(getattr(recording, f.name))
        for f in dataclasses.fields(recording)
        if isinstance(getattr(recording, f.name), list)
    }
    return dataclasses.replace(recording, **lists, closed=dict(recording.closed), gone=dict(recording.gone))


def change_samples(recording: Recording, where: Callable[[Sample], bool], **values: Any) -> None:
    changed = [s._replace(**values) if where(s) else s for s in recording.samples]
    assert changed != recording.samples
    recording.samples = changed


def flowing(sample: Sample) -> bool:
    return abs(sample.current_a) > 5.0


def position(recording: Recording, kind: type, role: str, name: str = "", number: int = 0) -> int:
    """Index of an event of `role`, for messages by name."""
    found = [
        i
        for i, e in enumerate(recording.events)
        if isinstance(e, kind) and e.role == role and (not name or type(e.message).__name__ == name)
    ]
    return found[number]


def replace_message(recording: Recording, at: int, **changes: Any) -> None:
    event = recording.events[at]
    recording.events[at] = dataclasses.replace(event, message=dataclasses.replace(event.message, **changes))


# --- what is done to a recording, by the checker that must notice it ---------------------------


def no_cable_check(r: Recording) -> None:
    change_samples(r, lambda s: s.evse_closed, cable_check="idle")


def failed_cable_check(r: Recording) -> None:
    change_samples(r, flowing, cable_check="failed")


def hard_closing(r: Recording) -> None:
    r.closings.append(Closing(4.0, "EV", -35.0, 500.0))


def current_in_state_b(r: Recording) -> None:
    change_samples(r, flowing, cp_wire=CpState.B)


def contactor_in_state_a(r: Recording) -> None:
    change_samples(r, lambda s: s.evse_closed, cp_wire=CpState.A)


def unlocked(r: Recording) -> None:
    change_samples(r, flowing, locked=False)


def emergency_ignored(r: Recording) -> None:
    change_samples(r, flowing, evse_unsafe=True)


def emergency_of_the_car_ignored(r: Recording) -> None:
    change_samples(r, flowing, ev_unsafe=True)


def contactor_after_the_end(r: Recording) -> None:
    end = r.events[position(r, SessionEnded, "SECC")].t
    change_samples(r, lambda s: s.t > end, evse_closed=True)


def contactor_of_the_car_after_the_end(r: Recording) -> None:
    end = r.events[position(r, SessionEnded, "EVCC")].t
    change_samples(r, lambda s: s.t > end, ev_closed=True)


def current_after_the_end(r: Recording) -> None:
    end = r.events[position(r, SessionEnded, "EVCC")].t
    change_samples(r, lambda s: s.t > end, current_a=3.0)


def live_at_last(r: Recording) -> None:
    r.samples[-1] = r.samples[-1]._replace(outlet_v=380.0)


def too_much_power(r: Recording) -> None:
    change_samples(r, flowing, power_w=130_000.0)


def too_much_current(r: Recording) -> None:
    change_samples(r, flowing, current_a=-120.0, power_w=-30_000.0)


def too_much_voltage(r: Recording) -> None:
    change_samples(r, flowing, outlet_v=430.0)


def energy_from_nothing(r: Recording) -> None:
    r.balance_wh = 0.5


def meter_in_favour_of_the_station(r: Recording) -> None:
    r.meter_wh = (r.meter_wh[0] * 1.02, r.meter_wh[1])


def meter_that_nets(r: Recording) -> None:
    r.meter_wh = (r.meter_wh[0] - r.meter_wh[1], 0.0)


def meter_backwards(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "DC_ChargeLoopRes", 0)
    info = r.events[at].message.meter_info
    replace_message(r, at, meter_info=dataclasses.replace(info, charged_energy_reading_wh=9999))


def cut_off(r: Recording) -> None:
    r.overrun = True


def never_ended(r: Recording) -> None:
    del r.events[position(r, SessionEnded, "SECC")]


def ended_twice(r: Recording) -> None:
    r.events.append(r.events[position(r, SessionEnded, "EVCC")])


def sent_after_the_end(r: Recording) -> None:
    event = r.events[position(r, MessageSent, "SECC", number=-1)]
    r.events.append(dataclasses.replace(event, t=r.duration_s))


def never_closed(r: Recording) -> None:
    del r.closed["EVCC"]


def waited_for_a_response(r: Recording) -> None:
    at = position(r, MessageSent, "EVCC", "AuthorizationReq")
    r.events = [e for i, e in enumerate(r.events) if e.role == "SECC" or i <= at]


def waited_for_a_request(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "DC_ChargeLoopRes", 5)
    r.events = [e for i, e in enumerate(r.events) if e.role == "EVCC" or i <= at]


def answered_twice(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "ServiceDetailRes")
    r.events.insert(at, r.events[at])


def answered_by_another_type(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "ServiceDetailRes")
    r.events[at] = r.events[position(r, MessageSent, "SECC", "ServiceDiscoveryRes")]


def asked_twice(r: Recording) -> None:
    at = position(r, MessageSent, "EVCC", "ServiceDetailReq")
    r.events.insert(at, r.events[at])


def answered_late(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "DC_ChargeLoopRes", 5)
    r.events[at] = dataclasses.replace(r.events[at], t=r.events[at].t + 0.26)


def skipped_the_cable_check(r: Recording) -> None:
    skip = ("DC_CableCheckReq", "DC_CableCheckRes")
    r.events = [e for e in r.events if type(getattr(e, "message", None)).__name__ not in skip]


def skipped_the_authorization(r: Recording) -> None:
    skip = ("AuthorizationReq", "AuthorizationRes")
    r.events = [e for e in r.events if type(getattr(e, "message", None)).__name__ not in skip]


def other_session_id(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "ServiceDetailRes")
    header = dataclasses.replace(r.events[at].message.header, session_id=bytes(8))
    replace_message(r, at, header=header)


def accepted_other_session_id(r: Recording) -> None:
    at = position(r, MessageReceived, "SECC", "ServiceDetailReq")
    header = dataclasses.replace(r.events[at].message.header, session_id=b"\1" * 8)
    replace_message(r, at, header=header)


def lost_on_the_wire(r: Recording) -> None:
    del r.wire[10]


def logged_other_octets(r: Recording) -> None:
    at = position(r, MessageSent, "SECC", "ServiceDetailRes")
    r.events[at] = dataclasses.replace(r.events[at], exi=r.events[at].exi[:-1] + b"\xff")


def logged_another_message(r: Recording) -> None:
    at = position(r, MessageSent, "EVCC", "SessionSetupReq")
    replace_message(r, at, evcc_id="SOMEONE-ELSE")


def logged_undecodable_octets(r: Recording) -> None:
    at = position(r, MessageSent, "EVCC", "SessionSetupReq")
    r.events[at] = dataclasses.replace(r.events[at], exi=b"\x80\xff\xff")


DOCTORED: tuple[tuple[str, tuple[Callable[[Recording], None], ...]], ...] = (
    ("contactor needs cable check", (no_cable_check, failed_cable_check)),
    ("no voltage across closing contactor", (hard_closing,)),
    ("no current without pilot", (current_in_state_b,)),
    ("no energy without pilot", (contactor_in_state_a,)),
    ("locked while energised", (unlocked,)),
    ("off after danger", (emergency_ignored, emergency_of_the_car_ignored)),
    ("off after end", (contactor_after_the_end, contactor_of_the_car_after_the_end, current_after_the_end)),
    ("dead at last", (live_at_last,)),
    ("within announced limits", (too_much_power, too_much_current, too_much_voltage)),
    ("energy is conserved", (energy_from_nothing, meter_in_favour_of_the_station, meter_that_nets)),
    ("meter only grows", (meter_backwards,)),
    ("every session ends", (cut_off, never_ended, ended_twice, sent_after_the_end, never_closed)),
    ("nobody waits in vain", (waited_for_a_response, waited_for_a_request)),
    ("requests and responses pair", (answered_twice, answered_by_another_type, asked_twice)),
    ("responses are in time", (answered_late,)),
    ("order is legal", (skipped_the_cable_check, skipped_the_authorization)),
    ("session id is kept", (other_session_id, accepted_other_session_id)),
    ("log equals wire", (lost_on_the_wire,)),
    ("log reads back", (logged_other_octets, logged_another_message, logged_undecodable_octets)),
)


def test_every_checker_has_its_doctored_recording() -> None:
    """Those of trust have theirs in test_attacks.py."""
    here = {name for name, checker in checkers.CHECKERS if checker.__module__ != security_checks.__name__}
    assert {name for name, _ in DOCTORED} == here


@pytest.mark.parametrize(
    ("name", "doctor"),
    [(n, d) for n, doctors in DOCTORED for d in doctors],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_finds_what_was_doctored(sound: Recording, name: str, doctor: Callable[[Recording], None]) -> None:
    recording = copied(sound)
    doctor(recording)
    assert name in {v.checker for v in checkers.check(recording)}


def test_the_original_is_sound(sound: Recording) -> None:
    assert checkers.check(sound) == ()


# --- crippled machines: the same, end to end ---------------------------------------------------


def deaf(self: Any, command: Any, original: Callable[[Any, Any], None]) -> None:
    """A station that never switches off by itself."""
    if not isinstance(command, Deenergise):
        original(self, command)


@pytest.mark.parametrize(
    "fault", ["unplug(4.5)", "emergency_stop(4.5)", "tcp_reset(4.5)", "hardware_fault(4.5)"]
)
def test_a_station_that_does_not_switch_off(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    from iso15118.sim.virtual_evse import VirtualEvse

    sane = simulate("DC", loops=40, faults=fault)
    assert sane.ok, sane.explain()
    assert not sane.completed
    original = VirtualEvse.command
    monkeypatch.setattr(VirtualEvse, "command", lambda self, command: deaf(self, command, original))
    assert not simulate("DC", loops=40, faults=fault).ok


def test_a_car_that_closes_onto_any_voltage() -> None:
    from iso15118.sim.run import evcc_config, secc_config

    scenario = basic("DC")
    careless = dataclasses.replace(
        scenario,
        evcc=dataclasses.replace(evcc_config(scenario), pre_charge_tolerance_v=100.0),
        secc=dataclasses.replace(secc_config(scenario), pre_charge_tolerance_v=100.0),
    )
    run = simulate(scenario=careless, faults="wrong_voltage(60)")
    assert "no voltage across closing contactor" in {v.checker for v in run.violations}


def test_a_station_that_drives_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    from iso15118.sim.virtual_evse import VirtualEvse

    original = VirtualEvse.command

    def greedy(self: VirtualEvse, command: Any) -> None:
        if isinstance(command, SetDcTarget) and command.current_a > 2.0:
            command = SetDcTarget(command.voltage_v, 400.0)
        original(self, command)

    monkeypatch.setattr(VirtualEvse, "command", greedy)
    run = simulate("DC", loops=60)
    assert "within announced limits" in {v.checker for v in run.violations}
