"""The outlet's table, driven by levels and reports under virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from iso15118.config import EvsePlugConfig
from iso15118.control.common import CpState
from iso15118.control.evse import CloseContactor, OpenContactor, SetPilotDuty, SetPilotUnavailable
from iso15118.machine import NEVER, Do, Emit, Update
from iso15118.plug.evse import BASIC_OFF, BASIC_ON, TABLE, EvsePlug, Signal, State, duty_of
from iso15118.plug.table import TIMER
from iso15118.plug.words import Communicate, EvseLevels, PlugState, Report
from iso15118.slac.dlink import DLink

X1, DIGITAL, F = SetPilotDuty(100.0), SetPilotDuty(5.0), SetPilotUnavailable()


class Outlet:
    """A plug machine with its outputs collected."""

    def __init__(self, dc=True, **config):
        self.machine = EvsePlug(EvsePlugConfig(**config), dc=dc)
        self.now = 0.0
        self.levels = EvseLevels(CpState.A)
        self.done: list = []
        self.told: list[PlugState] = []
        self.pilot = None
        self.level()

    def level(self, **changes):
        self.levels = dataclasses.replace(self.levels, **changes)
        self.machine.receive(Update(self.levels), self.now)
        return self.drain()

    def report(self, *reports):
        for report in reports:
            self.machine.report(report, self.now)
        return self.drain()

    def wait(self, seconds):
        end = self.now + seconds
        while self.machine.deadline <= end:
            self.now = self.machine.deadline
            self.machine.tick(self.now)
        self.now = end
        return self.drain()

    def drain(self):
        out = list(self.machine.outputs())
        self.told += [o.event for o in out if isinstance(o, Emit)]
        did = []
        for command in (o.command for o in out if isinstance(o, Do)):
            if isinstance(command, (SetPilotDuty, SetPilotUnavailable)):
                if command == self.pilot:
                    continue  # each row says what it signals, changed or not
                self.pilot = command
            did.append(command)
        self.done += did
        return did

    @property
    def state(self):
        return self.machine.state


def in_session(**config) -> Outlet:
    outlet = Outlet(**config)
    outlet.level(cp=CpState.B)
    outlet.wait(1.0)
    outlet.report(Report.LINK_UP, Report.SESSION_BEGUN)
    assert outlet.state is State.SESSION
    return outlet


def test_a_charge_from_plug_to_unplug():
    outlet = Outlet()
    assert outlet.done == [X1, DLink.TERMINATE]
    assert outlet.level(cp=CpState.B) == []
    assert outlet.wait(0.9) == []
    assert outlet.wait(0.2) == [DIGITAL, DLink.MATCH]
    assert outlet.report(Report.LINK_UP) == [DLink.MATCH, Communicate(True)]
    assert outlet.report(Report.SESSION_BEGUN) == []
    assert outlet.report(Report.SESSION_DONE) == [Communicate(False)]
    assert outlet.wait(2.4) == []
    assert outlet.wait(0.2) == [X1, DLink.TERMINATE]
    assert outlet.level(cp=CpState.A) == [DLink.TERMINATE]
    assert [e.state for e in outlet.told] == [
        "PLUGGED", "MATCHING", "LINKED", "SESSION", "ENDING", "ENDED", "EMPTY",
    ]  # fmt: skip


@pytest.mark.parametrize("state", [s for s in State if s not in (State.EMPTY, State.FAULTED)])
def test_unplugging_empties_every_state_and_ends_everything(state):
    outlet = in_session()
    outlet.machine._enter(state, "test")
    outlet.drain()
    did = outlet.level(cp=CpState.A)
    assert outlet.state is State.EMPTY
    assert outlet.pilot == X1
    assert DLink.TERMINATE in did
    assert outlet.machine.deadline == NEVER


@pytest.mark.parametrize("state", [s for s in State if s is not State.FAULTED])
def test_a_fault_is_signalled_from_every_state(state):
    outlet = in_session()
    outlet.machine._enter(state, "test")
    outlet.drain()
    outlet.level(fault="emergency stop")
    assert outlet.state is State.FAULTED
    assert outlet.pilot == F
    outlet.level(fault="")
    assert outlet.state is State.FAULTED, "not before the vehicle is unplugged"
    outlet.level(cp=CpState.A)
    assert outlet.state is State.EMPTY


@pytest.mark.req("V2G3-M06-07")
def test_failed_matching_is_tried_again_after_an_e_f_pulse_then_basic_charging():
    outlet = Outlet(dc=False)
    outlet.level(cp=CpState.B)
    outlet.wait(1.0)
    for _ in range(2):
        assert outlet.report(Report.LINK_FAILED) == [F, DLink.ERROR]
        assert outlet.wait(3.9) == []
        assert outlet.wait(0.2) == [X1]
        assert outlet.wait(0.75) == [DIGITAL, DLink.MATCH]
    assert outlet.report(Report.LINK_FAILED) == [X1]
    assert outlet.state is State.WAITING
    assert outlet.level(basic_limit_a=16.0) == [SetPilotDuty(pytest.approx(26.667, abs=0.01))]
    assert outlet.level(cp=CpState.C) == [*BASIC_ON]
    assert outlet.level(cp=CpState.B) == [*BASIC_OFF]


def test_dc_never_charges_without_communication():
    outlet = Outlet(retries=1)
    outlet.level(cp=CpState.B, basic_limit_a=16.0)
    outlet.wait(1.0)
    outlet.report(Report.LINK_FAILED)
    outlet.wait(5.0)
    outlet.report(Report.LINK_FAILED)
    assert outlet.state is State.MATCHING
    assert outlet.pilot == DIGITAL
    outlet.level(cp=CpState.C)
    assert CloseContactor() not in outlet.done


@pytest.mark.req("V2G3-M07-05")
@pytest.mark.parametrize("report", [Report.LINK_LOST, Report.SESSION_BROKEN])
def test_broken_communication_starts_over_by_x1_then_e_f(report):
    outlet = in_session()
    assert outlet.report(report) == [Communicate(False), X1, DLink.ERROR]
    outlet.wait(3.0)
    assert outlet.pilot == F
    outlet.wait(4.0)
    assert outlet.pilot == X1
    outlet.wait(0.75)
    assert (outlet.state, outlet.pilot) == (State.MATCHING, DIGITAL)


def test_nobody_comes_within_the_set_up_time():
    outlet = Outlet(setup_s=20.0)
    outlet.level(cp=CpState.B)
    outlet.wait(1.0)
    outlet.report(Report.LINK_UP)
    outlet.wait(19.9)
    assert outlet.state is State.LINKED
    outlet.wait(0.2)
    assert outlet.state is State.STEP_X1


def test_a_blocked_station_does_not_begin_again():
    outlet = in_session()
    outlet.level(blocked=True)
    assert outlet.state is State.SESSION, "it is ended over the link"
    outlet.report(Report.SESSION_BROKEN)
    assert (outlet.state, outlet.pilot) == (State.ENDED, X1)


@pytest.mark.parametrize("waker", ["vehicle", "station"])
def test_pause_keeps_the_network_and_either_side_wakes_the_other(waker):
    outlet = in_session()
    outlet.report(Report.SESSION_PAUSED)
    assert outlet.wait(2.6) == [X1, DLink.PAUSE]
    did = outlet.level(cp=CpState.C) if waker == "vehicle" else outlet.level(wake=True)
    assert did == [DIGITAL, DLink.MATCH, Communicate(True)]
    assert outlet.state is State.LINKED


def test_a_vehicle_wakes_an_ended_outlet_for_a_new_matching():
    outlet = in_session()
    outlet.report(Report.SESSION_DONE)
    outlet.wait(3.0)
    outlet.level(cp=CpState.C)
    outlet.level(cp=CpState.B)
    outlet.wait(1.0)
    assert (outlet.state, outlet.pilot) == (State.MATCHING, DIGITAL)


def test_basic_charging_that_is_withdrawn_leaves_the_vehicle_time_then_opens_under_load():
    outlet = Outlet(dc=False, retries=0)
    outlet.level(cp=CpState.B, basic_limit_a=10.0)
    outlet.wait(1.0)
    outlet.report(Report.LINK_FAILED)
    outlet.level(cp=CpState.C)
    assert outlet.level(basic_limit_a=0.0) == [X1]
    assert outlet.wait(5.9) == []
    assert outlet.wait(0.2) == [*BASIC_OFF]


def test_nominal_duty_offers_basic_charging_while_matching():
    outlet = Outlet(dc=False, nominal_duty=True)
    outlet.level(cp=CpState.B, basic_limit_a=32.0)
    outlet.wait(1.0)
    assert outlet.pilot == SetPilotDuty(pytest.approx(53.33, abs=0.01))
    assert CloseContactor() in outlet.level(cp=CpState.C)
    assert OpenContactor() in outlet.report(Report.LINK_UP), "the session decides from here"


def test_state_d_is_not_energised_without_ventilation():
    outlet = Outlet(dc=False, retries=0)
    outlet.level(cp=CpState.B, basic_limit_a=10.0)
    outlet.wait(1.0)
    outlet.report(Report.LINK_FAILED)
    outlet.level(cp=CpState.D)
    assert CloseContactor() not in outlet.done


def test_own_e_f_pulse_is_no_unplugging():
    outlet = in_session()
    outlet.report(Report.LINK_LOST)
    outlet.wait(3.0)
    outlet.level(cp=CpState.F)
    assert outlet.state is State.STEP_EF
    outlet.wait(4.0)
    outlet.level(cp=CpState.B)
    outlet.wait(1.0)
    assert outlet.state is State.MATCHING


def test_unplugged_during_an_e_f_pulse():
    outlet = in_session()
    outlet.report(Report.LINK_LOST)
    outlet.wait(3.0)
    outlet.level(cp=CpState.F)
    outlet.wait(4.0)
    outlet.level(cp=CpState.A)
    assert outlet.state is State.EMPTY


def test_energised_only_in_rows_that_charge_by_duty_cycle():
    for state, row in TABLE.items():
        assert row.basic == (state in (State.BASIC, State.BASIC_STOP))


def test_every_state_can_be_left_and_every_timer_has_a_row():
    reached = {State.EMPTY}
    for row in TABLE.values():
        assert (TIMER in row.on) == bool(row.lasts)
        reached |= {s for s in row.on.values() if isinstance(s, State)}
    methods = {State.STEP_X1, State.STEP_EF, State.MATCHING, State.WAITING, State.FAULTED}
    assert reached | methods == set(State)


@pytest.mark.parametrize(
    ("amps", "duty"), [(6, 10.0), (9.6, 16.0), (16, 26.667), (32, 53.333), (51, 85.0), (63, 89.2), (80, 96.0)]
)
def test_duty_of_a_current_limit(amps, duty):
    assert duty_of(amps) == pytest.approx(duty, abs=0.01)


def test_signals_are_level_changes_only():
    outlet = in_session()
    before = len(outlet.told)
    for _ in range(3):
        outlet.level()
    assert len(outlet.told) == before
    assert Signal.GONE.value == "unplugged"
