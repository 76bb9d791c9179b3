"""The inlet's table, driven by levels and reports under virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from iso15118.config import EvPlugConfig
from iso15118.control.ev import ChargeBasic, SetPilot
from iso15118.machine import NEVER, Do, Emit, Update
from iso15118.plug.ev import TABLE, EvPlug, Signal, State, limit_of, offered
from iso15118.plug.table import TIMER
from iso15118.plug.words import Communicate, EvLevels, PlugState, Report
from iso15118.slac.dlink import DLink


class Inlet:
    def __init__(self, **config):
        self.machine = EvPlug(EvPlugConfig(**config))
        self.now = 0.0
        self.levels = EvLevels(None)
        self.done: list = []
        self.told: list[PlugState] = []

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
        did = [o.command for o in out if isinstance(o, Do)]
        self.done += did
        return did

    @property
    def state(self):
        return self.machine.state


def in_session(**config) -> Inlet:
    inlet = Inlet(**config)
    inlet.level(duty=100.0)
    inlet.level(duty=5.0)
    inlet.wait(0.2)
    inlet.report(Report.LINK_UP, Report.SESSION_BEGUN)
    assert inlet.state is State.SESSION
    return inlet


def test_a_charge_from_plug_to_unplug():
    inlet = Inlet()
    inlet.level(duty=100.0)
    assert inlet.state is State.WAITING
    inlet.level(duty=5.0)
    assert inlet.wait(0.1) == []
    assert inlet.wait(0.1) == [DLink.MATCH]
    assert inlet.report(Report.LINK_UP) == [DLink.MATCH, Communicate(True)]
    inlet.report(Report.SESSION_BEGUN)
    assert inlet.report(Report.SESSION_DONE) == [Communicate(False)]
    assert inlet.wait(0.5) == [DLink.TERMINATE]
    inlet.level(duty=100.0)
    assert inlet.state is State.DONE
    inlet.level(duty=None)
    assert inlet.state is State.UNPLUGGED


def test_an_offer_that_flickers_starts_nothing():
    inlet = Inlet()
    inlet.level(duty=5.0)
    inlet.wait(0.1)
    inlet.level(duty=100.0)
    assert inlet.wait(5.0) == []
    assert inlet.state is State.WAITING


@pytest.mark.req("V2G3-A09-121")
@pytest.mark.parametrize("state", [s for s in State if s is not State.UNPLUGGED])
def test_unplugging_ends_everything(state):
    inlet = in_session()
    inlet.machine._enter(state, "test")
    inlet.drain()
    did = inlet.level(duty=None)
    assert inlet.state is State.UNPLUGGED
    assert DLink.TERMINATE in did
    assert inlet.machine.deadline == NEVER


@pytest.mark.parametrize("state", [State.SETTLING, State.MATCHING, State.LINKED, State.SESSION, State.BASIC])
def test_e_or_f_stops_what_goes_on(state):
    inlet = in_session()
    inlet.machine._enter(state, "test")
    inlet.drain()
    inlet.level(duty=0.0)
    assert inlet.state is State.WAITING
    assert inlet.done[-1] in (DLink.TERMINATE, ChargeBasic(0.0))


def test_no_link_at_nominal_duty_charges_by_the_duty_cycle_and_follows_it():
    inlet = Inlet()
    inlet.level(duty=100.0)
    inlet.level(duty=26.67)
    inlet.wait(0.2)
    assert inlet.state is State.MATCHING
    assert inlet.report(Report.LINK_FAILED) == [ChargeBasic(pytest.approx(16.0, abs=0.01))]
    assert inlet.level(duty=10.0) == [ChargeBasic(6.0)]
    assert inlet.level(duty=100.0)[0] == SetPilot(ready=False)
    assert inlet.done[-1] == ChargeBasic(0.0)


def test_no_link_at_five_percent_charges_nothing_and_tries_again_later():
    inlet = Inlet()
    inlet.level(duty=5.0)
    inlet.wait(0.2)
    inlet.report(Report.LINK_FAILED)
    assert inlet.state is State.NO_LINK
    assert not any(isinstance(c, ChargeBasic) for c in inlet.done)
    inlet.wait(60.5)
    assert inlet.state is State.MATCHING


def test_without_the_wish_for_communication_nominal_duty_charges_at_once():
    inlet = Inlet(hlc_at_nominal=False)
    inlet.level(duty=53.33)
    inlet.wait(0.2)
    assert inlet.done[-1] == ChargeBasic(pytest.approx(32.0, abs=0.01))


def test_broken_session_matches_again_after_the_resetup_time():
    inlet = in_session()
    did = inlet.report(Report.SESSION_BROKEN)
    assert did == [Communicate(False), SetPilot(ready=False), DLink.ERROR]
    inlet.wait(14.9)
    assert inlet.state is State.BROKEN
    inlet.wait(0.4)
    assert inlet.state is State.MATCHING


def test_paused_until_the_charger_wakes_the_vehicle():
    inlet = in_session()
    assert inlet.report(Report.SESSION_PAUSED) == [Communicate(False), DLink.PAUSE]
    inlet.level(duty=100.0)
    assert inlet.state is State.ASLEEP
    assert inlet.level(duty=5.0) == [DLink.MATCH, Communicate(True)]


def test_the_vehicle_wakes_the_charger_by_toggling():
    inlet = in_session()
    inlet.report(Report.SESSION_PAUSED)
    inlet.level(duty=100.0)
    assert inlet.level(wake=True) == [SetPilot(ready=True, brief=True)]
    assert inlet.wait(0.3) == [SetPilot(ready=False)]
    inlet.level(duty=5.0)
    assert inlet.state is State.LINKED


def test_a_charger_that_does_not_wake_is_left_alone_after_three_toggles():
    inlet = in_session()
    inlet.report(Report.SESSION_PAUSED)
    inlet.level(duty=100.0)
    inlet.level(wake=True)
    inlet.wait(60.0)
    assert inlet.state is State.ASLEEP
    assert inlet.done.count(SetPilot(ready=True, brief=True)) == 3


def test_every_timer_has_a_row():
    for row in TABLE.values():
        assert (TIMER in row.on) == bool(row.lasts)


@pytest.mark.parametrize(
    ("duty", "meaning"),
    [
        (None, Signal.UNPLUGGED),
        (0.0, Signal.UNAVAILABLE),
        (2.0, Signal.STEADY),
        (3.0, Signal.DIGITAL),
        (5.0, Signal.DIGITAL),
        (7.0, Signal.DIGITAL),
        (7.5, Signal.STEADY),
        (8.0, Signal.NOMINAL),
        (96.9, Signal.NOMINAL),
        (98.0, Signal.STEADY),
        (100.0, Signal.STEADY),
    ],
)
def test_what_a_duty_cycle_means(duty, meaning):
    assert offered(duty) is meaning


@pytest.mark.parametrize(
    ("duty", "amps"),
    [(5, 0), (7.9, 0), (8, 6), (10, 6), (16, 9.6), (85, 51), (89.2, 63), (96, 80), (97, 80), (98, 0)],
)
def test_current_of_a_duty_cycle(duty, amps):
    assert limit_of(duty) == pytest.approx(amps)
