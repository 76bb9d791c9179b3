"""Plug and link together, the link played by a script or needing no matching at all."""

from __future__ import annotations

import pytest

from iso15118.config import EvPlugConfig, EvsePlugConfig
from iso15118.control.common import CpState
from iso15118.control.ev import ChargeBasic
from iso15118.control.evse import CloseContactor, LockConnector, SetPilotDuty
from iso15118.machine import NEVER, Do, Emit, Frame, LinkDown, LinkUp, Update
from iso15118.plug.direct import DirectLink
from iso15118.plug.ev import EvPlug
from iso15118.plug.evse import EvsePlug
from iso15118.plug.evse import State as Outlet
from iso15118.plug.stack import PlugStack
from iso15118.plug.words import Communicate, EvLevels, EvseLevels, Report
from iso15118.slac.dlink import DLink, LinkStatus, PilotLevel
from iso15118.slac.events import LinkReady, Validating

PEER = bytes.fromhex("0200000000e1")


class ScriptedLink:
    """Notes what it is told; the test says what it tells."""

    deadline = NEVER

    def __init__(self) -> None:
        self.told: list = []
        self.out: list = []

    def receive(self, item, now) -> None:
        self.told.append(item)

    def tick(self, now) -> None:
        self.deadline = NEVER

    def outputs(self):
        out, self.out = self.out, []
        return iter(out)


class Rig:
    def __init__(self, plug, link) -> None:
        self.stack, self.link, self.now = PlugStack(plug, link), link, 0.0
        self.did: list = []
        self.events: list = []
        self.frames: list = []

    def give(self, item) -> list:
        self.stack.receive(item, self.now)
        return self.drain()

    def tell(self, *outputs) -> list:
        self.link.out += outputs
        self.stack.tick(self.now)
        return self.drain()

    def wait(self, seconds) -> list:
        end = self.now + seconds
        while self.stack.deadline <= end:
            self.now = self.stack.deadline
            self.stack.tick(self.now)
        self.now = end
        return self.drain()

    def drain(self) -> list:
        out = list(self.stack.outputs())
        self.events += [o.event for o in out if isinstance(o, Emit)]
        self.frames += [o for o in out if isinstance(o, Frame)]
        did = [o.command for o in out if isinstance(o, Do)]
        self.did += did
        return did


def outlet(link=None, dc=True, **config) -> Rig:
    return Rig(EvsePlug(EvsePlugConfig(**config), dc=dc), link or ScriptedLink())


def ready(status: LinkStatus) -> Emit:
    return Emit(LinkReady(t=0.0, role="SECC", status=status, reason="", peer=PEER))


def test_the_link_hears_the_pilot_before_the_plug_acts_on_it():
    rig = outlet()
    rig.give(Update(EvseLevels(CpState.A)))
    rig.give(Update(EvseLevels(CpState.B)))
    assert rig.link.told == [Update(PilotLevel(CpState.A)), DLink.TERMINATE, Update(PilotLevel(CpState.B))]


def test_equal_levels_are_not_told_to_the_link_again():
    rig = outlet()
    for wake in (False, True):
        rig.give(Update(EvseLevels(CpState.B, wake=wake)))
    assert [item for item in rig.link.told if isinstance(item, Update)] == [Update(PilotLevel(CpState.B))]


def test_matching_established_and_lost():
    rig = outlet()
    rig.give(Update(EvseLevels(CpState.B)))
    assert SetPilotDuty(5.0) in rig.wait(1.1)
    assert DLink.MATCH in rig.link.told
    assert rig.tell(ready(LinkStatus.ESTABLISHED))[-1] == Communicate(True)
    assert rig.stack.peer == PEER
    assert rig.tell(ready(LinkStatus.LOST)) == [Communicate(False), SetPilotDuty(100.0)]
    assert rig.stack.peer is None
    assert rig.stack.plug.state is Outlet.STEP_X1
    assert [e.status for e in rig.events if isinstance(e, LinkReady)] == [
        LinkStatus.ESTABLISHED,
        LinkStatus.LOST,
    ]


def test_frames_and_the_port_belong_to_the_link():
    rig = outlet()
    for item in (LinkUp(), Frame(b"x"), LinkDown()):
        rig.give(item)
    assert rig.link.told == [LinkUp(), Frame(b"x"), LinkDown()]
    rig.tell(Frame(b"y"))
    assert rig.frames == [Frame(b"y")]


def test_a_toggle_of_validation_energises_nothing():
    rig = outlet(dc=False, nominal_duty=True)
    rig.give(Update(EvseLevels(CpState.B, basic_limit_a=16.0)))
    rig.wait(1.1)
    rig.tell(Emit(Validating(t=0.0, role="SECC", on=True, ev_mac=PEER)))
    assert rig.give(Update(EvseLevels(CpState.C, basic_limit_a=16.0))) == []
    assert Update(PilotLevel(CpState.C)) in rig.link.told
    did = rig.tell(Emit(Validating(t=0.0, role="SECC", on=False, ev_mac=PEER)))
    assert did == [LockConnector(), CloseContactor()]  # still in C when it is over: now it is a wish


@pytest.mark.parametrize(
    ("duty", "pilot"), [(None, CpState.A), (0.0, CpState.F), (5.0, CpState.B), (100.0, CpState.B)]
)
def test_what_the_car_knows_of_the_pilot(duty, pilot):
    rig = Rig(EvPlug(EvPlugConfig()), ScriptedLink())
    rig.give(Update(EvLevels(duty)))
    assert rig.link.told[0] == Update(PilotLevel(pilot))


def test_direct_link_on_both_sides():
    station = outlet(DirectLink("SECC"))
    car = Rig(EvPlug(EvPlugConfig()), DirectLink("EVCC"))
    for rig in (station, car):
        rig.give(LinkUp())
    station.give(Update(EvseLevels(CpState.B)))
    assert Communicate(True) in station.wait(1.1)
    car.give(Update(EvLevels(5.0)))
    assert Communicate(True) in car.wait(0.3)
    for rig in (station, car):
        rig.give(Report.SESSION_BEGUN)
        rig.give(Report.SESSION_DONE)
    assert station.wait(3.0)[-1] == SetPilotDuty(100.0)
    station.give(Update(EvseLevels(CpState.A)))
    assert station.stack.plug.state is Outlet.EMPTY
    station.give(Update(EvseLevels(CpState.B)))
    assert Communicate(True) in station.wait(1.1)  # and again


def test_direct_link_is_lost_with_its_port_and_comes_back():
    rig = outlet(DirectLink("SECC"))
    rig.give(LinkUp())
    rig.give(Update(EvseLevels(CpState.B)))
    rig.wait(1.1)
    assert rig.give(LinkDown())[0] == Communicate(False)
    assert [e.status for e in rig.events if isinstance(e, LinkReady)][-1] is LinkStatus.LOST
    rig.give(LinkUp())
    assert Communicate(True) in rig.wait(10.0)


def test_direct_link_waits_for_its_port():
    rig = outlet(DirectLink("SECC"))
    rig.give(Update(EvseLevels(CpState.B)))
    assert Communicate(True) not in rig.wait(1.1)
    assert rig.give(LinkUp())[-1] == Communicate(True)


def test_nothing_but_basic_charging_where_no_link_comes_up():
    car = Rig(EvPlug(EvPlugConfig()), ScriptedLink())
    car.give(Update(EvLevels(26.7)))
    car.wait(0.3)
    assert car.tell(ready(LinkStatus.FAILED)) == [ChargeBasic(pytest.approx(16.02))]
