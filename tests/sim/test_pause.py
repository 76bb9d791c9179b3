"""Pause and resume with everything in between: pilot, network, TLS, contract; and who must not go on."""

from __future__ import annotations

import dataclasses

import pytest

from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.events import Decision, EndReason, MessageSent, PauseEnded, SessionEnded, SessionPaused
from iso15118.plug.ev import State as Inlet
from iso15118.plug.evse import State as Outlet
from iso15118.runtime.security import Security
from iso15118.sim.plugged.trust import secured
from iso15118.sim.plugged.world import PluggedWorld
from iso15118.sim.tls import credentials, simulated_pki
from iso15118.slac.events import MatchingStarted

SETUP = ("AuthorizationSetupReq", "AuthorizationReq", "ServiceDiscoveryReq", "ServiceSelectionReq")


def charging(energy="DC", *, auth="pnc", seed=4, **options) -> PluggedWorld:
    """A car that charges over TLS."""
    service, mode = EnergyService[energy], ControlMode.DYNAMIC
    made = secured(service, mode, seed, options, auth=auth, install=False)
    world = PluggedWorld(energy, "dynamic", seed=seed, **made)
    world.run(0.5)
    world.plug()
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0)
    return world


def pause(world: PluggedWorld, minutes: float = 0.5) -> None:
    """The station has no energy for a while; both sides sleep."""
    world.hal_evse.wish = Wish.PAUSE
    asleep = (Outlet.PAUSED, Inlet.ASLEEP)
    assert world.run_until(lambda: (world.station.plug.plug.state, world.car.plug.plug.state) == asleep, 30.0)
    world.hal_evse.wish = None
    world.run(60.0 * minutes)
    assert not world.bench.station.relay.closed
    world.events.clear()


def wake(world: PluggedWorld) -> None:
    world.hal_evse.wake = True
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0), "no energy after the pause"


def requests(world: PluggedWorld) -> list[str]:
    sent = (e for e in world.events if isinstance(e, MessageSent) and e.role == "EVCC")
    return [type(e.message).__name__ for e in sent]


def setup_codes(world: PluggedWorld) -> list[str]:
    sent = (e.message for e in world.events if isinstance(e, MessageSent) and e.role == "SECC")
    return [m.response_code.value for m in sent if type(m).__name__ == "SessionSetupRes"]


def another_car() -> Security:
    return Security(simulated_pki().vehicle("WMXV0000000000000026"))


@pytest.mark.parametrize("auth", ["pnc", "eim"])
@pytest.mark.parametrize("energy", ["AC", "DC", "DC_BPT"])
def test_a_session_goes_on_after_its_pause(energy, auth):
    world = charging(energy, auth=auth)
    before = {e.session_id for e in world.told(SessionPaused)}
    pause(world)
    wake(world)
    assert setup_codes(world) == ["OK_OldSessionJoined"]
    assert not set(SETUP) & set(requests(world))
    assert not world.told(MatchingStarted), "the network was kept"
    assert {e.resumed for e in world.told(PauseEnded)} == {True}
    assert before == set()
    if auth == "pnc":
        assert world.run_until(lambda: "MeteringConfirmationReq" in requests(world), 30.0)
    world.hal_ev.wish = Wish.TERMINATE
    assert world.run_until(lambda: len(world.told(SessionEnded)) == 2, 30.0)
    assert {e.reason for e in world.told(SessionEnded)} == {EndReason.COMPLETED}
    assert not world.watcher.verdict()


def test_it_is_paused_and_goes_on_more_than_once():
    world = charging("AC")
    for _ in range(3):
        pause(world)
        wake(world)
        assert setup_codes(world) == ["OK_OldSessionJoined"]
        world.hal_evse.wake = False
    assert not world.watcher.verdict()


@pytest.mark.req("V2G20-2545")
def test_another_vehicle_at_the_same_cable_does_not_go_on_with_it():
    """It even knows the id: all it gets is a session of its own, and to be asked who pays."""
    world = charging("AC")
    pause(world)
    paused = world.station.paused
    world.tls = dataclasses.replace(credentials(), evcc=another_car())
    wake(world)
    assert setup_codes(world) == ["OK_NewSessionEstablished"]
    assert {"AuthorizationReq", "ServiceSelectionReq"} <= set(requests(world))
    told = [e.why for e in world.events if isinstance(e, Decision) and "paused with another" in e.why]
    assert told
    assert world.station.paused == paused, "whom it belongs to may still come back"
    assert not world.watcher.verdict()


@pytest.mark.req("V2G20-2539")
def test_a_station_that_is_another_one_is_not_told_the_session():
    world = charging("AC")
    pause(world)
    world.tls = dataclasses.replace(
        credentials(), secc=Security(simulated_pki().secc("DETSTS00000000000000000000000000000002"))
    )
    wake(world)
    asked = [e.message for e in world.told(MessageSent) if type(e.message).__name__ == "SessionSetupReq"]
    assert [m.header.session_id for m in asked] == [bytes(8)]
    assert setup_codes(world) == ["OK_NewSessionEstablished"]


def test_who_was_unplugged_meanwhile_begins_anew():
    world = charging("AC")
    pause(world)
    world.unplug()
    world.run(5.0)
    world.plug()
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0)
    assert setup_codes(world) == ["OK_NewSessionEstablished"]
    assert "AuthorizationReq" in requests(world)


@pytest.mark.parametrize("side", ["station", "car"])
def test_a_side_that_has_forgotten_begins_anew(side):
    world = charging("AC")
    pause(world)
    getattr(world, side).paused = None
    wake(world)
    assert setup_codes(world) == ["OK_NewSessionEstablished"]
    assert not world.watcher.verdict()


def test_without_tls_nothing_is_kept():
    world = PluggedWorld("AC", "dynamic", seed=4)
    world.plug()
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0)
    world.hal_evse.wish = Wish.PAUSE
    assert world.run_until(lambda: len(world.told(SessionEnded)) == 2, 30.0)
    assert not world.told(SessionPaused)
    assert (world.station.paused, world.car.paused) == (None, None)
