"""Services and parameter sets: whatever a station offers, the first that suits is taken, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.common import EnergyService
from iso15118.control.ev import EvControllerBase, ParameterSet
from iso15118.messages.iso20 import common as m
from tests.unit.evcc.harness import AC, AC_BPT, DC, DC_BPT, DYNAMIC, SCHEDULED, SERVICES, Bench, config
from tests.unit.evcc.station import integer, parameter_set

WIDTHS = {
    "byte": lambda n: m.ByteValue(value=n),
    "short": lambda n: m.ShortValue(value=n),
    "int": lambda n: m.IntValue(value=n),
    "rational": lambda n: m.RationalValue(exponent=0, value=n),
    "rational 20·10⁻¹": lambda n: m.RationalValue(exponent=-1, value=10 * n),
}
NO_MODE = {
    "bool": m.BoolValue(value=True),
    "text": m.FiniteString(value="2"),
    "fraction": m.RationalValue(exponent=-1, value=19),
    "zero": m.IntValue(value=0),
    "three": m.IntValue(value=3),
    "negative": m.ByteValue(value=-1),
    "huge": m.RationalValue(exponent=127, value=1),
}


def named(name, value):
    return m.Parameter(name=name, value=value)


def of(number, *parameters):
    return m.ParameterSet(parameter_set_id=number, parameter=parameters)


def offering(*sets, service=DC, mode=DYNAMIC, **settings):
    """A bench whose station offers these parameter sets."""
    bench = Bench(service, mode, config=config(service, **settings))
    bench.station.alter("ServiceDetailReq", service_parameter_list=m.ServiceParameterList(parameter_set=sets))
    return bench


def listing(bench, *ids, vas=()):
    """The bench's station with these energy services (and value-added ones) on its list."""
    bench.station.alter("ServiceDiscoveryReq", energy_transfer_service_list=services(*ids))
    if vas:
        bench.station.alter(
            "ServiceDiscoveryReq",
            energy_transfer_service_list=services(*ids),
            vas_list=services(*vas),
        )
    return bench


def services(*ids):
    return m.ServiceList(service=tuple(m.Service(service_id=i, free_service=True) for i in ids))


def selected(bench):
    pair = bench.one("ServiceSelectionReq").selected_energy_transfer_service
    return pair.service_id, pair.parameter_set_id


def left_politely(bench):
    """SessionStop(Terminate) instead of a selection."""
    assert bench.outcome == ("completed", "none")
    assert bench.ended.detail == "no suitable service"
    assert "ServiceSelectionReq" not in bench.names
    assert bench.one("SessionStopReq").charging_session is m.ChargingSession.TERMINATE
    assert any(e.what == "service" for e in bench.seen(events.Decision))
    return True


# --- parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("width", WIDTHS)
def test_control_mode_is_read_in_any_width(width, mode):
    bench = offering(of(7, named("ControlMode", WIDTHS[width](int(mode)))), mode=mode).run()
    assert selected(bench) == (int(DC), 7)
    assert bench.seen(events.ServiceSelected)[0].control_mode == mode.name
    assert bench.outcome == ("completed", "none")


@pytest.mark.parametrize("kind", NO_MODE)
def test_control_mode_that_is_none_makes_a_set_useless(kind):
    assert left_politely(offering(of(1, named("ControlMode", NO_MODE[kind]))).run())


def test_set_without_control_mode_is_passed_over():
    first = of(1, integer("Connector", 2), integer("Pricing", 0))
    bench = offering(first, parameter_set(2, 2)).run()
    assert selected(bench) == (int(DC), 2)


def test_only_control_mode_is_indispensable():
    bench = offering(parameter_set(3, 2)).run()
    assert bench.outcome == ("completed", "none")
    (question,) = [q for q in bench.questions if hasattr(q, "offers")]
    assert question.offers == (ParameterSet(int(DC), 3, {"ControlMode": 2}),)


def test_surplus_parameters_do_no_harm():
    more = [
        named("Sparkling", m.BoolValue(value=True)),
        named("Motto", m.FiniteString(value="more power")),
        named("Ratio", m.RationalValue(exponent=-2, value=314)),
        named("", m.IntValue(value=0)),
    ]
    bench = offering(parameter_set(1, 2, *more, EVSENominalVoltage=400, BPTChannel=1)).run()
    assert bench.outcome == ("completed", "none")
    values = bench.questions[0].offers[0].values
    assert values["Sparkling"] is True
    assert values["Motto"] == "more power"
    assert values["Ratio"] == pytest.approx(3.14)


@pytest.mark.parametrize("second", [1, 2])
def test_first_of_a_repeated_parameter_counts(second):
    bench = offering(parameter_set(1, 2, integer("ControlMode", second), integer("ControlMode", 9))).run()
    assert bench.seen(events.ServiceSelected)[0].control_mode == "DYNAMIC"


@pytest.mark.parametrize("number", [0, 1, 65_535])
def test_parameter_set_id_is_opaque(number):
    assert selected(offering(parameter_set(number, 2)).run()) == (int(DC), number)


def test_first_suitable_set_is_taken():
    bench = offering(parameter_set(9, 2), parameter_set(4, 1), parameter_set(5, 2)).run()
    assert selected(bench) == (int(DC), 9)


def test_controller_may_insist_on_a_control_mode():
    bench = offering(parameter_set(9, 2), parameter_set(4, 1), parameter_set(5, 1), mode=SCHEDULED)
    bench.controller.control_mode = SCHEDULED
    assert selected(bench.run()) == (int(DC), 4)


def test_configured_control_mode_keeps_other_sets_from_the_controller():
    sets = parameter_set(9, 2), parameter_set(4, 1)
    bench = offering(*sets, mode=SCHEDULED, control_mode=SCHEDULED).run()
    assert selected(bench) == (int(DC), 4)
    assert [o.parameter_set_id for o in bench.questions[0].offers] == [4]


def test_no_set_in_the_configured_control_mode_means_none():
    assert left_politely(offering(parameter_set(9, 2), control_mode=SCHEDULED).run())


def test_sets_of_all_wanted_services_reach_the_controller_in_order_of_preference():
    bench = listing(Bench(DC_BPT, config=config(DC_BPT, DC, EnergyService.MCS)), 2, 6, 8)
    bench.run()
    assert [q.service_id for q in bench.all("ServiceDetailReq")] == [6, 2, 8]
    assert [o.service for o in bench.questions[0].offers] == [6, 2, 8]
    assert selected(bench) == (int(DC_BPT), 1)


def test_details_of_another_service_end_the_session():
    bench = Bench()
    bench.station.alter("ServiceDetailReq", service_id=6)
    assert bench.run().outcome == ("protocol", "remote")
    assert "for service 6 instead of 2" in bench.ended.detail


# --- the list of services ---------------------------------------------------------------------


@pytest.mark.parametrize("ids", [(2, 12), (12, 2), (500, 65_535, 0, 2), (3, 4, 7, 10, 11, 1, 5, 2)])
def test_unknown_and_foreign_services_on_the_list_are_ignored(ids):
    bench = listing(Bench(), *ids, vas=(65, 66, 4711)).run()
    assert bench.outcome == ("completed", "none")
    assert bench.one("ServiceDetailReq").service_id == int(DC)


@pytest.mark.parametrize("ids", [(1,), (12,), (6,), (0, 65_535)])
def test_no_wanted_service_on_the_list_means_leaving(ids):
    bench = listing(Bench(), *ids).run()
    assert left_politely(bench)
    assert "ServiceDetailReq" not in bench.names


@pytest.mark.parametrize(
    ("agreed", "wanted", "expected"),
    [
        (AC, (AC, DC), AC),
        (DC, (AC, DC), DC),
        (AC_BPT, (DC, AC_BPT), AC_BPT),
        (DC_BPT, (AC_BPT, DC_BPT), DC_BPT),
    ],
)
def test_services_outside_the_agreed_namespace_are_ignored(agreed, wanted, expected):
    """A station that lists AC after :-20:DC was agreed: the namespace rules."""
    bench = Bench(agreed, config=config(*wanted))

    def agree(req, res, n):
        taken = next(p for p in req.app_protocol if p.protocol_namespace.endswith("AC") is agreed.is_ac)
        return replace(res, schema_id=taken.schema_id)

    bench.station.on("SupportedAppProtocolReq", agree)
    listing(bench, *(int(s) for s in wanted)).run()
    assert [q.service_id for q in bench.all("ServiceDetailReq")] == [int(expected)]
    assert bench.outcome == ("completed", "none")


def test_wanted_services_are_told_to_the_station():
    bench = Bench(config=config(DC, DC_BPT)).run()
    assert bench.one("ServiceDiscoveryReq").supported_service_ids.service_id == (2, 6)


@pytest.mark.parametrize("service", [EnergyService.MCS, EnergyService.MCS_BPT])
def test_megawatt_charging_rides_the_dc_messages(service):
    bench = Bench(service).run()
    assert bench.outcome == ("completed", "none")
    assert selected(bench)[0] == int(service)


def test_no_wanted_id_is_lost_where_many_services_are_wanted():
    bench = Bench(AC, config=config(*SERVICES, *SERVICES, *SERVICES, *SERVICES, *SERVICES)).run()
    assert len(bench.one("ServiceDiscoveryReq").supported_service_ids.service_id) == 16


# --- the controller ---------------------------------------------------------------------------


class Chooser(EvControllerBase):
    """Answers as told."""

    wanted = (DC,)

    def __init__(self, answer):
        self.answer = answer

    async def choose_service(self, question):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(question) if callable(self.answer) else self.answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "DC please",
        0,
        ParameterSet(int(DC), 99, {"ControlMode": 2}),
        ParameterSet(int(AC), 1, {"ControlMode": 2}),
        lambda q: replace(q.offers[0], values={"ControlMode": 1}),
    ],
)
def test_choice_that_was_not_offered_means_leaving(answer):
    assert left_politely(Bench(controller=Chooser(answer)).run())


@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyError("car"), SystemError()])
def test_controller_that_fails_ends_the_session(error):
    bench = Bench(controller=Chooser(error)).run()
    assert bench.outcome == ("local", "local")
    assert bench.ended.detail == f"ServiceChoice: {error!r}"
    assert bench.left_safely


def test_parameter_values_may_be_rational_numbers():
    assert ParameterSet(2, 1, {"ControlMode": 2.0}).control_mode == 2
    assert ParameterSet(2, 1, {"ControlMode": float("nan")}).control_mode is None
    assert ParameterSet(2, 1, {}).control_mode is None
