"""The whole way under virtual time: plug, pilot, matching, discovery, session, unplug; and what may happen on it."""

from __future__ import annotations

import pytest

from hal.virtual.faults import FAULTS
from iso15118.config import AttenuationLimits, EvccConfig, SeccConfig, SlacConfig
from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.control.ev import EvControllerBase
from iso15118.control.evse import EvseControllerBase
from iso15118.errors import ConfigError
from iso15118.events import Decision, EndReason, MessageSent, SessionEnded
from iso15118.hardware.events import FaultFound
from iso15118.machine import Datagram
from iso15118.plug.ev import State as Inlet
from iso15118.plug.evse import State as Outlet
from iso15118.plug.words import PlugState
from iso15118.sim.faults import draw, parse
from iso15118.sim.plugged import plug_in
from iso15118.sim.plugged.mishaps import ACTS, MISHAPS, befall
from iso15118.sim.plugged.network import link_local, mac_of, read_udp, udp_frame
from iso15118.sim.plugged.world import EV_MAC, EVSE_MAC, PluggedWorld
from iso15118.sim.soak import main as soak
from iso15118.slac.events import EvseChosen, EvseValidated, LinkReady, MatchingStarted, SuspiciousEvse
from iso15118.tls.events import TlsEstablished

COMBINATIONS = [(e, c) for e in ("AC", "AC_BPT", "DC", "DC_BPT") for c in ("scheduled", "dynamic")]


@pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
def test_from_plug_to_unplug(energy, control):
    run = plug_in(energy, control, seed=1)
    assert run.ok, run.explain()
    assert run.states("secc") == ["PLUGGED", "MATCHING", "LINKED", "SESSION", "ENDING", "ENDED", "EMPTY"]
    assert run.states("evcc") == [
        "WAITING",
        "SETTLING",
        "MATCHING",
        "LINKED",
        "SESSION",
        "LEAVING",
        "DONE",
        "UNPLUGGED",
    ]
    assert run.delivered_wh > 0.1


def test_energy_flows_both_ways():
    run = plug_in("DC_BPT", "dynamic", seed=2, loops=150, setpoints=((0.0, 20_000.0), (18.0, -15_000.0)))
    assert run.ok, run.explain()
    assert run.delivered_wh > 5.0
    assert run.fed_back_wh > 5.0


def test_same_seed_same_log():
    runs = [plug_in("DC", "dynamic", seed=5, mishaps="link_loss(0.1), unplug(at=14)") for _ in range(2)]
    assert runs[0].log_hash == runs[1].log_hash
    assert plug_in("DC", "dynamic", seed=6).log_hash != runs[0].log_hash


@pytest.mark.parametrize("energy", ["AC", "DC_BPT"])
@pytest.mark.parametrize("install", [False, True])
def test_by_contract_over_tls(energy, install):
    run = plug_in(energy, seed=4, auth="pnc", install=install)
    assert run.ok, run.explain()
    assert run.completed
    assert {e.role for e in run.events if isinstance(e, TlsEstablished)} == {"SECC", "EVCC"}
    sent = [type(e.message).__name__ for e in run.events if isinstance(e, MessageSent)]
    assert ("CertificateInstallationReq" in sent) is install
    assert "MeteringConfirmationReq" in sent
    assert len(run.world.hal_ev.owner.kept) == install


def test_over_tls_by_card_and_the_same_seed_gives_the_same_log():
    runs = [plug_in("AC", seed=4, tls=True) for _ in range(2)]
    assert runs[0].completed
    assert runs[0].log_hash == runs[1].log_hash


def test_a_contract_that_nobody_keeps_serves_one_session():
    class Forgetful(EvControllerBase):
        wanted, control_mode = (EnergyService.DC,), ControlMode.DYNAMIC

        async def store_contract(self, question):
            return False

    run = plug_in("DC", seed=4, auth="pnc", install=True, owner=Forgetful())
    assert run.ok, run.explain()
    told = [e.why for e in run.events if isinstance(e, Decision) and e.what == "CertificateInstallation"]
    assert told == ["a contract of DETST, not stored: it serves this session alone"]


@pytest.mark.parametrize("operator", ["one who refuses", "one without a word for it"])
def test_a_station_whose_operator_installs_nothing_says_so(operator):
    class Refusing(EvseControllerBase):
        pass

    class Wordless(Refusing):
        install_contract = None

    people = Refusing() if operator == "one who refuses" else Wordless()
    run = plug_in("DC", seed=4, auth="pnc", install=True, operator=people)
    assert run.rested, run.explain()
    assert not run.violations
    assert "no contract" in run.explain()
    assert run.delivered_wh == 0.0


@pytest.mark.parametrize("wrong", [{"install": True}, {"auth": "cash"}])
def test_who_pays_has_two_words(wrong):
    with pytest.raises(ConfigError, match="'pnc'"):
        plug_in("DC", **wrong)


def test_matching_is_quick():
    run = plug_in("AC", seed=3)
    begun = next(e.t for e in run.events if isinstance(e, MatchingStarted))
    ready = next(e.t for e in run.events if isinstance(e, LinkReady) and e.role == "EVCC")
    assert ready - begun - 1.0 < 1.5  # the modems need up to a second to join


@pytest.mark.parametrize("farther_db", [3.5, 8.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_of_two_chargers_the_nearer_is_matched(farther_db, seed):
    run = plug_in("AC", seed=seed, mishaps=f"neighbour({farther_db})")
    assert run.completed, run.explain()
    assert [e.mac for e in run.events if isinstance(e, EvseChosen)] == [EVSE_MAC]


@pytest.mark.parametrize("seed", range(3))
def test_a_rogue_charger_is_noticed_and_not_chosen(seed):
    run = plug_in("AC", seed=seed, mishaps="rogue")
    assert run.completed, run.explain()
    assert [e for e in run.events if isinstance(e, SuspiciousEvse)]
    assert [e.mac for e in run.events if isinstance(e, EvseChosen)] == [EVSE_MAC]


def test_a_link_that_breaks_ends_the_session_and_is_made_anew():
    run = plug_in("DC", seed=4, mishaps="link_breaks(at=14, seconds=5)", loops=60)
    assert run.ok, run.explain()
    assert run.states("secc").count("SESSION") == 2
    assert "STEP_EF" in run.states("secc")
    assert run.completed


def test_plugged_in_again_at_once():
    run = plug_in("DC", seed=4, mishaps="replug(at=5, seconds=0.5)")
    assert run.ok, run.explain()
    assert run.completed


def test_nobody_is_charged_after_a_refused_match():
    run = plug_in("AC", seed=4, mishaps="profiles_lost(1.0)")
    assert run.rested, run.explain()
    assert not run.violations
    assert run.delivered_wh == 0.0
    assert not [e for e in run.events if isinstance(e, SessionEnded)]


@pytest.mark.parametrize("name", sorted(ACTS))
@pytest.mark.parametrize("energy", ["AC", "DC"])
def test_every_mishap_of_link_tcp_and_people_ends_safely(name, energy):
    run = plug_in(energy, seed=11, mishaps=name)
    assert run.ok, run.explain()


@pytest.mark.parametrize(
    ("seed", "mishaps"),
    [
        (207, "supply_reading_stuck(at=1.124)"),
        (490, "supply_reading_scaled(at=0.385)"),
        (289, "slow_join(3.643), supply_reading_stuck(at=20.75), over_voltage(at=12.554)"),
    ],
)
def test_a_voltage_that_is_not_measured_keeps_the_connector_locked(seed, mishaps):
    """Found by 10,000 runs: "0 V" of a supply whose reading is wrong opened the lock on a live cable."""
    run = plug_in("DC", seed=seed, mishaps=mishaps)
    assert run.ok, run.explain()
    assert run.ends["SECC"].reason is EndReason.LOCAL


def test_a_welded_car_is_not_released_after_the_connection_broke():
    """Found by 10,000 runs: with its contactor open the station did not see the battery behind the car's weld."""
    mishaps = (
        "contactor_welded(at=1.696, side=EV), link_breaks(at=4.521, seconds=21.303), supply_deaf(at=8.856)"
    )
    run = plug_in("DC", seed=548, mishaps=mishaps)
    assert run.ok, run.explain()
    faults = {event.code for event in run.events if isinstance(event, FaultFound) and event.role == "SECC"}
    assert "connector_live" in faults


def test_an_instrument_that_breaks_while_the_cable_empties_itself_opens_no_lock():
    mishaps = "contactor_stuck_open(at=15.723, side=EVSE), outlet_reading_zero(at=9.248), tcp_reset(at=8.989)"
    run = plug_in("DC", seed=483, mishaps=mishaps)
    assert run.ok, run.explain()


def test_a_mirror_contact_that_lies_closes_nothing():
    """Found by 10,000 runs: the car took "closed" for its own closing, and closed late onto 30 V."""
    run = plug_in("DC", seed=794, mishaps="contactor_lies_at_last(at=10.381, side=EV)")
    assert run.ok, run.explain()
    assert run.delivered_wh == pytest.approx(0.0, abs=0.01)


def test_a_station_whose_contactor_reads_closed_begins_nothing():
    run = plug_in("DC", seed=1, mishaps="contactor_lies_at_last(at=3.8, side=EVSE)")
    assert run.ok, run.explain()
    assert run.delivered_wh == pytest.approx(0.0, abs=0.01)
    assert "contactor" in run.ends["SECC"].detail


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("energy", ["AC", "DC_BPT"])
def test_mishaps_by_chance(seed, energy):
    run = plug_in(energy, seed=seed, mishaps="random")
    assert run.ok, run.explain()


def test_every_hardware_fault_can_be_drawn():
    names = {fault.name for seed in range(1500) for fault in draw(seed, kinds=MISHAPS)}
    dc = {name for name, switch in FAULTS.items() if "dc" in switch.energies}
    assert names == set(ACTS) | dc


def test_log_tells_the_plug():
    run = plug_in("AC", seed=1)
    states = [e for e in run.events if isinstance(e, PlugState)]
    assert all(e.why for e in states)


# --- IPv6 on the powerline ------------------------------------------------------------------------


def test_datagrams_are_real_frames():
    datagram = Datagram(b"\x01\xfe\x90\x00", (link_local(EVSE_MAC), 15118))
    frame = udp_frame(EV_MAC, 50_000, datagram)
    found = read_udp(frame)
    assert found is not None
    assert found.payload == datagram.data
    assert found.src == (link_local(EV_MAC), 50_000)
    assert frame[:6] == EVSE_MAC
    assert mac_of("ff02::1") == bytes.fromhex("333300000001")


def test_a_damaged_datagram_is_dropped():
    frame = udp_frame(EV_MAC, 50_000, Datagram(b"hello", (link_local(EVSE_MAC), 15118)))
    for at in range(14 + 8, len(frame)):
        damaged = bytearray(frame)
        damaged[at] ^= 0x10
        assert read_udp(bytes(damaged)) is None
    assert read_udp(frame[:30]) is None
    assert read_udp(b"") is None


def test_many_plug_ins_by_one_call(capsys):
    assert soak(["--plug", "--first", "3", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "8 sessions, 0 failed" in out
    assert "DC_BPT dynamic" in out


# --- without a session, and between sessions ------------------------------------------------------


def settled(energy="AC", *, seed=1, mishaps=""):
    world = PluggedWorld(energy, "dynamic", seed=seed)
    for mishap in parse(mishaps, kinds=MISHAPS):
        befall(world, mishap)
    world.run(0.5)
    return world


def states(world):
    return world.station.plug.plug.state, world.car.plug.plug.state


def test_basic_charging_where_matching_fails():
    world = settled(mishaps="profiles_lost(1.0)")
    world.hal_evse.basic_limit_a = 16.0
    world.plug()
    assert world.run_until(lambda: world.power_w > 10_000.0, 60.0)
    assert states(world) == (Outlet.BASIC, Inlet.BASIC)
    assert world.bench.wire.duty == pytest.approx(16.0 / 0.6)
    world.hal_evse.basic_limit_a = 10.0
    assert world.run_until(lambda: abs(world.power_w - 3 * 230 * 10) < 50, 10.0)
    world.hal_evse.basic_limit_a = 0.0
    assert world.run_until(lambda: not world.bench.station.relay.closed, 10.0)
    world.hal_evse.basic_limit_a = 16.0
    assert world.run_until(lambda: world.power_w > 10_000.0, 30.0)
    world.unplug()
    world.run(5.0)
    assert states(world) == (Outlet.EMPTY, Inlet.UNPLUGGED)
    assert not world.watcher.verdict()
    assert not world.told(SessionEnded)


def test_a_pause_keeps_the_network_until_the_station_has_energy_again():
    world = settled()
    world.plug()
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0)
    world.hal_evse.wish = Wish.PAUSE
    assert world.run_until(lambda: states(world) == (Outlet.PAUSED, Inlet.ASLEEP), 20.0)
    world.hal_evse.wish = None
    world.run(120.0)
    assert world.linked
    assert not world.bench.station.relay.closed
    world.hal_evse.wake = True
    assert world.run_until(lambda: world.power_w > 1000.0, 30.0)
    assert len(world.told(MatchingStarted)) == 1
    assert not world.watcher.verdict()


def test_a_car_wakes_the_station_and_matches_anew():
    world = settled("DC")
    world.plug()
    assert world.run_until(lambda: world.power_w > 1000.0, 60.0)
    world.hal_ev.wish = Wish.TERMINATE
    assert world.run_until(lambda: states(world) == (Outlet.ENDED, Inlet.DONE), 20.0)
    world.hal_ev.wish = None
    world.run(30.0)
    assert not world.linked
    world.hal_ev.wake = True
    assert world.run_until(lambda: world.power_w > 1000.0, 40.0)
    assert len(world.told(MatchingStarted)) == 2
    assert not world.watcher.verdict()


def test_validation_by_toggles_energises_nothing():
    evcc = EvccConfig(
        services=(EnergyService.AC,),
        insecure_no_tls=True,
        slac=SlacConfig(limits=AttenuationLimits(5.0, 80.0, 3.0, proof_required=True), toggles=2),
    )
    secc = SeccConfig(services=(EnergyService.AC,), insecure_no_tls=True, slac=SlacConfig(validation=True))
    run = plug_in("AC", seed=3, evcc=evcc, secc=secc)
    assert run.ok, run.explain()
    validated = [e for e in run.events if isinstance(e, EvseValidated)]
    assert [(e.toggles, e.counted, e.outcome) for e in validated] == [(2, 2, "passed")]
