"""What must never happen, and what must always happen, whatever station and car do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.ev import (
    CloseContactor,
    Deenergise,
    EnergyNeeds,
    EvControllerBase,
    PowerStep,
    ScheduleDecision,
    SetPower,
)
from iso15118.evcc.machine import EvccMachine
from iso15118.evcc.vocabulary import SessionOver
from iso15118.events import EndReason, Fault
from iso15118.machine import Close, Do, LinkUp, PeerClosed
from iso15118.messages.iso20 import dc
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import Processing
from iso15118.units import NO_FLOW, Envelope, Limits
from tests.unit.evcc.harness import (
    AC,
    AC_BPT,
    CLOSE_IT,
    COMBINATIONS,
    DC,
    DC_BPT,
    DYNAMIC,
    OPEN_IT,
    PILOT_B,
    SCHEDULED,
    Bench,
    car,
    config,
)
from tests.unit.evcc.station import entry, offer, schedule
from tests.unit.evcc.test_timeouts import EVERY_REQUEST

every_session = pytest.mark.parametrize(("service", "mode"), COMBINATIONS)
TROUBLE = [({"emergency_stop": True}, "emergency stop"), ({"fault": "battery"}, "hardware fault: battery")]


class Planner(EvControllerBase):
    """Chooses the first offer with a fixed plan."""

    def __init__(self, service, *steps):
        self.wanted = (service,)
        self.steps = steps

    async def choose_schedule(self, question):
        number_of = question.options[0].tuple_id if question.options else 0
        return ScheduleDecision(number_of, self.steps)


def currents(bench):
    """The currents asked for in Scheduled mode."""
    return [number(x.cl_req_control_mode.ev_target_current) for x in bench.all("DC_ChargeLoopReq")]


def powers(bench):
    """The set-points for our own converter (AC)."""
    return [c.power_w for c in bench.orders if isinstance(c, SetPower)]


# --- emergency --------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "detail"), TROUBLE)
@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_emergency_stop_and_fault_open_at_once_in_every_state(service, request_name, levels, detail):
    bench = Bench(service)
    bench.station.on(request_name, None)
    bench.when(bench.asked_for(request_name), lambda: bench.at(0.1, lambda: bench.update(**levels))).run()
    assert bench.outcome == ("emergency", "local")
    assert bench.ended.detail == detail
    assert bench.orders[-2:] == [Deenergise(detail), PILOT_B]
    assert bench.ended.t - bench.requests[-1].t == pytest.approx(0.1)
    assert any(e.new for e in bench.seen(events.HardwareChanged))


@pytest.mark.parametrize(("levels", "detail"), TROUBLE)
@pytest.mark.parametrize("phase", ["AUTHORIZATION", "PRE_CHARGE", "CHARGE_LOOP", "WELDING_DETECTION"])
def test_emergency_while_we_pause_opens_at_once(phase, levels, detail):
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=9, evse_processing=Processing.ONGOING)
    bench.when(bench.in_phase(phase), lambda: bench.at(0.02, lambda: bench.update(**levels))).run()
    assert bench.outcome == ("emergency", "local")
    assert bench.orders[-2:] == [Deenergise(detail), PILOT_B]


@pytest.mark.parametrize(("levels", "detail"), TROUBLE)
def test_emergency_before_the_connection_lets_nothing_begin(levels, detail):
    machine = EvccMachine(config(), bytes, lambda: 0.0, state=car(**levels))
    machine.receive(LinkUp(), 0.0)
    outputs = list(machine.outputs())
    assert [o.command for o in outputs if isinstance(o, Do)] == [Deenergise(detail), PILOT_B]
    assert isinstance(outputs[-1], Close)
    assert machine.ended


def test_emergency_while_the_contactor_closes_opens_it():
    bench = Bench()
    bench.when(lambda: CLOSE_IT in bench.orders, lambda: bench.update(emergency_stop=True)).run()
    assert bench.outcome == ("emergency", "local")
    assert "PowerDeliveryReq" not in bench.names
    assert bench.left_safely


def test_first_word_after_an_emergency_is_to_open_the_power_path():
    bench = Bench()
    bench.when(
        bench.in_phase("CHARGE_LOOP"), lambda: bench.at(0.1, lambda: bench.update(emergency_stop=True))
    )
    bench.run()
    kinds = [type(o) for o in bench.log if isinstance(o, (Do, Close))]
    assert kinds[-3:] == [Do, Do, Close]


# --- the contactor ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("station_v", "inlet_v"),
    [(0.0, 0.0), (339.0, 339.0), (361.0, 361.0), (350.0, 0.0), (350.0, 500.0), (0.0, 350.0), (500.0, 350.0)],
)
@pytest.mark.parametrize("service", [DC, DC_BPT])
def test_contactor_stays_open_until_both_voltages_match(service, station_v, inlet_v):
    """The station's word alone does not count, and neither does our measurement alone."""
    bench = Bench(service)
    bench.station.on(
        "DC_PreChargeReq", lambda req, res, n: replace(res, evse_present_voltage=rational(station_v))
    )
    bench.station._follow = lambda request: None
    bench.update(inlet_voltage_v=inlet_v)
    assert bench.run().outcome == ("timeout", "remote")
    assert CLOSE_IT not in bench.orders
    assert "PowerDeliveryReq" not in bench.names


@pytest.mark.parametrize("inlet_v", [341.0, 350.0, 359.0])
def test_contactor_closes_within_the_tolerance(inlet_v):
    bench = Bench()
    bench.station._follow = lambda request: setattr(bench.station, "voltage", inlet_v)
    bench.update(inlet_voltage_v=inlet_v)
    assert bench.run().outcome == ("completed", "none")


def test_voltage_on_its_way_through_the_right_one_is_no_match():
    """Simulated seed 183: an output that overshoots by 38 V looked right in one reading."""
    bench = Bench()
    rising = iter((200.0, 348.0, 356.0 + 32.0))

    def follow(request):
        bench.station.voltage = next(rising, 388.0)
        bench.at(0.02, lambda: bench.update(inlet_voltage_v=bench.station.voltage))

    bench.station._follow = follow
    assert bench.run().outcome == ("timeout", "remote")
    assert CLOSE_IT not in bench.orders


def test_voltage_that_leaves_at_the_last_moment_keeps_the_contactor_open():
    """Between "finished" and closing: what counts is the moment of closing."""
    bench = Bench()

    def collapse(req, res, n):
        if req.ev_processing.value == "Finished":
            bench.update(inlet_voltage_v=120.0)
            bench.update = lambda keep=bench.update, **levels: keep(**levels | {"inlet_voltage_v": 120.0})
        return res

    bench.station.on("DC_PreChargeReq", collapse)
    assert bench.run().outcome == ("protocol", "remote")
    assert CLOSE_IT not in bench.orders


@every_session
def test_contactor_is_closed_once_and_opened_after_power_off(service, mode):
    bench = Bench(service, mode).run()
    assert bench.orders.count(CLOSE_IT) == bench.orders.count(OPEN_IT) == 1
    assert not [c for c in bench.orders if isinstance(c, Deenergise)]


@pytest.mark.parametrize("before", ["PowerDeliveryReq", "DC_CableCheckReq", "ScheduleExchangeReq"])
def test_contactor_is_never_closed_before_its_time(before):
    bench = Bench()
    bench.run(until=bench.asked_for(before))
    closed = CLOSE_IT in bench.orders
    assert closed == (before == "PowerDeliveryReq")


def test_contactor_commanded_closed_by_a_script_is_opened_at_the_end():
    """However politely it ends."""

    async def careless(ev):
        ev.do(CloseContactor())
        raise SessionOver(EndReason.COMPLETED, Fault.NONE, "that was it")

    bench = Bench(script=careless).run()
    assert bench.outcome == ("completed", "none")
    assert bench.orders == [CLOSE_IT, Deenergise("that was it"), PILOT_B]


# --- voltage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize(
    ("volts", "outcome"), [(440.0, "completed"), (442.0, "protocol"), (1000.0, "protocol")]
)
def test_station_that_drives_overvoltage_is_left_at_once(mode, volts, outcome):
    bench = Bench(DC, mode)
    bench.station.alter("DC_ChargeLoopReq", first=2, evse_present_voltage=rational(volts))
    assert bench.run().outcome[0] == outcome
    assert bench.left_safely
    if outcome == "protocol":
        assert isinstance(bench.orders[-2], Deenergise)
        assert "our limit is 420 V" in bench.ended.detail


def test_overvoltage_at_our_own_inlet_counts_whatever_the_station_says():
    bench = Bench(config=config(max_loops=100))
    bench.when(
        bench.in_phase("CHARGE_LOOP"), lambda: bench.at(0.3, lambda: bench.update(inlet_voltage_v=500.0))
    ).run()
    assert bench.outcome == ("protocol", "remote")
    assert "500 V" in bench.ended.detail


def test_overvoltage_while_the_current_comes_down_counts_too():
    bench = Bench()
    bench.station.alter("DC_ChargeLoopReq", first=3, evse_present_voltage=rational(900.0))
    assert bench.run().outcome == ("protocol", "remote")


# --- current and power ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered_w", "wish_a", "own", "theirs", "expected"),
    [
        (22_000.0, 30.0, 100.0, 125.0, 30.0),  # the battery's wish
        (7000.0, 80.0, 100.0, 125.0, 20.0),  # the plan
        (40_000.0, 500.0, 60.0, 125.0, 60.0),  # our own limit
        (40_000.0, 500.0, 100.0, 50.0, 50.0),  # the station's
        (22_000.0, -10.0, 100.0, 125.0, 0.0),  # a battery that wants none
        (0.0, 80.0, 100.0, 125.0, 0.0),  # a plan of nothing
        (22_000.0, 80.0, 0.0, 125.0, 0.0),
        (22_000.0, 80.0, 100.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("service", [DC, DC_BPT])
def test_current_asked_for_is_the_least_of_wish_plan_and_limits(
    service, offered_w, wish_a, own, theirs, expected
):
    limits = replace(car(service).limits, charge=Limits(40_000.0, own))
    bench = Bench(service, SCHEDULED, state=car(service, target_current_a=wish_a, limits=limits))
    bench.station.offers = (offer(1, schedule(entry(3600, offered_w))),)

    def limit(req, res, n):
        mode = res.dc_cpd_res_energy_transfer_mode
        mode = replace(mode, evse_maximum_charge_current=rational(theirs))
        return replace(res, dc_cpd_res_energy_transfer_mode=mode)

    bench.station.on("DC_ChargeParameterDiscoveryReq", limit)
    asked = currents(bench.run())
    assert asked[:-1] == [pytest.approx(expected, rel=1e-3, abs=1e-9)] * 3
    assert asked[-1] == 0.0, "brought down before power off"


def test_power_of_the_plan_is_kept_at_any_voltage():
    bench = Bench(DC, SCHEDULED, state=car(battery_voltage_v=200.0, target_current_a=500.0))
    bench.station.offers = (offer(1, schedule(entry(3600, 5000.0))),)
    assert max(currents(bench.run())) == pytest.approx(25.0)


@pytest.mark.parametrize(("fields", "expected"), [
    ({"evse_maximum_charge_current": rational(12.0)}, 12.0),
    ({"evse_maximum_charge_power": rational(3500.0)}, 10.0),
    ({"evse_maximum_charge_current": rational(0.0)}, 0.0),
    ({}, 22_000 / 350),
])  # fmt: skip
def test_limits_of_a_loop_response_rule_from_then_on(fields, expected):
    bench = Bench(DC, SCHEDULED)
    bench.station.on(
        "DC_ChargeLoopReq",
        lambda req, res, n: replace(res, cl_res_control_mode=bench.station.dc_mode(**fields)),
    )
    asked = currents(bench.run())
    assert asked[0] == pytest.approx(22_000 / 350, rel=1e-3)
    assert asked[1] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("wish_a", "expected"), [(30.0, 30.0), (500.0, 100.0), (-20.0, 0.0)])
@pytest.mark.parametrize("service", [DC, DC_BPT])
def test_dynamic_limits_are_our_own_and_never_more(service, wish_a, expected):
    bench = Bench(service, DYNAMIC, state=car(service, target_current_a=wish_a)).run()
    modes = [x.cl_req_control_mode for x in bench.all("DC_ChargeLoopReq")]
    assert [number(x.ev_maximum_charge_current) for x in modes] == [expected] * 3 + [0.0]
    assert number(modes[-1].ev_maximum_charge_power) == 0.0
    if service.bidirectional:
        assert [number(x.ev_maximum_discharge_power) for x in modes] == [15_000.0] * 3 + [0.0]


@pytest.mark.parametrize(("plan_w", "expected"), [(-7000.0, -20.0), (-90_000.0, -40.0)])
def test_discharge_current_stays_within_plan_and_limits(plan_w, expected):
    planner = Planner(DC_BPT, PowerStep(3600, plan_w))
    bench = Bench(DC_BPT, SCHEDULED, controller=planner)
    asked = currents(bench.run())
    assert asked[:-1] == [pytest.approx(expected, rel=1e-3)] * 3
    assert asked[-1] == 0.0


def test_discharge_current_stays_within_the_limits_of_a_loop_response():
    bench = Bench(DC_BPT, SCHEDULED, controller=Planner(DC_BPT, PowerStep(3600, -15_000.0)))
    mode = {"evse_maximum_discharge_current": rational(-11.0)}
    bench.station.on(
        "DC_ChargeLoopReq",
        lambda req, res, n: replace(res, cl_res_control_mode=bench.station.dc_mode(**mode)),
    )
    assert currents(bench.run())[1] == pytest.approx(-11.0)


def test_dc_without_bpt_never_discharges():
    """Not by plan, not by limits of the car, and not by limits a station slips in."""
    limits = replace(car().limits, discharge=Limits(15_000.0, 40.0))
    bench = Bench(DC, SCHEDULED, controller=Planner(DC, PowerStep(3600, -5000.0)), state=car(limits=limits))
    slipped = {
        "evse_maximum_discharge_power": rational(9000.0),
        "evse_maximum_discharge_current": rational(30.0),
    }
    bench.station.on(
        "DC_ChargeLoopReq",
        lambda req, res, n: replace(res, cl_res_control_mode=dc.BPT_Scheduled_DC_CLResControlMode(**slipped)),
    )
    assert min(currents(bench.run())) >= 0.0
    assert bench.machine.ev.evse_limits.discharge == NO_FLOW
    sent = bench.all("PowerDeliveryReq")[0].ev_power_profile.ev_power_profile_entries
    assert all(number(x.power) >= 0 for x in sent.ev_power_profile_entry)


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("target", [-3000.0, -90_000.0])
def test_ac_without_bpt_never_discharges(mode, target):
    limits = replace(car(AC).limits, discharge=Limits(15_000.0, 40.0))
    bench = Bench(AC, mode, state=car(AC, limits=limits))
    bench.station.on(
        "AC_ChargeLoopReq",
        lambda req, res, n: replace(res, cl_res_control_mode=bench.station.ac_mode(target)),
    )
    assert set(powers(bench.run())) == {0.0}


@pytest.mark.req("V2G20-1818")
@pytest.mark.parametrize(
    ("mode", "target", "phases", "expected"),
    [
        (DYNAMIC, 5000.0, (), 5000.0),
        (DYNAMIC, 2000.0, (2000.0, 1000.0), 5000.0),
        (DYNAMIC, 2000.0, (1000.0,), 3000.0),
        (DYNAMIC, 90_000.0, (), 7000.0),  # no more than the car wants
        (DYNAMIC, 0.0, (), 0.0),
        (SCHEDULED, 3000.0, (), 3000.0),
        (SCHEDULED, 90_000.0, (), 4000.0),  # no more than the plan
        (SCHEDULED, None, (), 4000.0),  # no target: the plan
        (SCHEDULED, -2000.0, (), 0.0),  # against the plan
    ],
)
@pytest.mark.parametrize("service", [AC, AC_BPT])
def test_ac_power_follows_the_station_within_plan_wish_and_limits(service, mode, target, phases, expected):
    bench = Bench(service, mode)
    bench.station.offers = (offer(1, schedule(entry(3600, 4000.0))),)
    chosen = bench.station.ac_mode(target, *phases)
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=chosen))
    assert powers(bench.run())[:3] == [pytest.approx(expected)] * 3


@pytest.mark.parametrize(("target", "expected"), [(-3000.0, -3000.0), (-90_000.0, -11_000.0)])
def test_ac_bpt_discharges_within_the_limits_of_both_sides(target, expected):
    bench = Bench(AC_BPT, DYNAMIC)
    chosen = bench.station.ac_mode(target, evse_target_reactive_power=rational(500.0))
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=chosen))
    bench.run()
    assert bench.orders[bench.orders.index(CLOSE_IT) + 1] == SetPower(expected, 500.0)


def test_ac_bpt_follows_a_discharge_plan():
    bench = Bench(AC_BPT, SCHEDULED, controller=Planner(AC_BPT, PowerStep(3600, -4000.0)))
    chosen = bench.station.ac_mode(None)
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=chosen))
    assert powers(bench.run())[:3] == [-4000.0] * 3


@pytest.mark.parametrize(("minimum_wh", "expected"), [(-1.0, -20.0), (0.0, 0.0), (500.0, 0.0)])
def test_dc_battery_at_its_minimum_gives_nothing_whatever_was_planned(minimum_wh, expected):
    state = car(DC_BPT, needs=EnergyNeeds(20_000.0, 30_000.0, minimum_wh))
    bench = Bench(DC_BPT, SCHEDULED, state=state, controller=Planner(DC_BPT, PowerStep(3600, -7000.0)))
    assert currents(bench.run())[0] == pytest.approx(expected)


@pytest.mark.parametrize(("minimum_wh", "expected"), [(-1.0, -3000.0), (0.0, 0.0), (500.0, 0.0)])
@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
def test_ac_battery_at_its_minimum_gives_nothing_whatever_is_asked(mode, minimum_wh, expected):
    state = car(AC_BPT, needs=EnergyNeeds(20_000.0, 30_000.0, minimum_wh))
    bench = Bench(AC_BPT, mode, state=state, controller=Planner(AC_BPT, PowerStep(3600, -7000.0)))
    chosen = bench.station.ac_mode(-3000.0)
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=chosen))
    assert powers(bench.run())[0] == expected


def test_power_below_the_minimum_of_either_side_is_none():
    limits = Envelope(charge=Limits(11_000.0, 0.0, min_power_w=4200.0))
    bench = Bench(AC, state=car(AC, limits=limits, target_power_w=11_000.0))
    chosen = bench.station.ac_mode(4000.0)
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=chosen))
    assert set(powers(bench.run())) == {0.0}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_discharge_limits_of_the_station_are_read_by_magnitude(sign):
    bench = Bench(AC_BPT)

    def signed(req, res, n):
        mode = res.ac_cpd_res_energy_transfer_mode
        mode = replace(
            mode,
            evse_maximum_discharge_power=rational(sign * 3000.0),
            evse_maximum_discharge_power_l2=rational(sign * 3000.0),
        )
        return replace(res, ac_cpd_res_energy_transfer_mode=mode)

    bench.station.on("AC_ChargeParameterDiscoveryReq", signed)
    assert bench.run().machine.ev.evse_limits.discharge.max_power_w == 6000.0


def test_machine_keeps_hands_off_after_the_end():
    bench = Bench().run()
    for item in LinkUp(), PeerClosed():
        bench.feed(item)
    bench.machine.tick(bench.now + 1000.0)
    assert len(bench.seen(events.SessionEnded)) == 1
    assert bench.left_safely
