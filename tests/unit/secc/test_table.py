"""Every state against every request: what is served, and how everything else is refused."""

from __future__ import annotations

from types import ModuleType

import pytest

from iso15118.control.common import CpState
from iso15118.control.evse import Deenergise
from iso15118.events import EndReason, Fault, ProtocolFault
from iso15118.machine import LinkDown, PeerClosed
from iso15118.messages.iso20 import ac, acdp, common, dc, wpt
from iso15118.messages.iso20.types import ResponseCode, V2GRequest
from iso15118.secc.session import State
from tests.unit.secc.harness import AC_STATES, DC_STATES, Bench, reach
from tests.unit.secc.messages import NO_SESSION, WRONG_SESSION, Ev, lane_of

S = State


def requests_of(module: ModuleType) -> tuple[type[V2GRequest], ...]:
    """The request messages declared in a module."""
    declared = (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)
    return tuple(v for v in declared if issubclass(v, V2GRequest) and v.__name__.endswith("Req"))


EVERY_REQUEST = (
    *requests_of(common),
    *requests_of(ac),
    *requests_of(dc),
    wpt.WPT_FinePositioningSetupReq,
    wpt.WPT_ChargeParameterDiscoveryReq,
    wpt.WPT_ChargeLoopReq,
    acdp.ACDP_VehiclePositioningReq,
    acdp.ACDP_ConnectReq,
    acdp.ACDP_DisconnectReq,
    acdp.ACDP_SystemStatusReq,
)

COMMON_ROWS = {
    S.SESSION_SETUP: {common.SessionSetupReq},
    S.AUTHORIZATION_SETUP: {common.AuthorizationSetupReq},
    S.AUTHORIZATION: {
        common.AuthorizationReq
    },  # and CertificateInstallationReq where it is offered: test_pnc
    S.SERVICE_DISCOVERY: {common.ServiceDiscoveryReq},
    S.SERVICE_DETAIL: {common.ServiceDetailReq},
    S.SERVICE_SELECTION: {common.ServiceDetailReq, common.ServiceSelectionReq},
    S.SCHEDULE_EXCHANGE: {common.ScheduleExchangeReq},
}
DC_ROWS = COMMON_ROWS | {
    S.CHARGE_PARAMETER_DISCOVERY: {dc.DC_ChargeParameterDiscoveryReq},
    S.CABLE_CHECK: {dc.DC_CableCheckReq},
    S.CABLE_CHECKED: {dc.DC_PreChargeReq},
    S.PRE_CHARGE: {dc.DC_PreChargeReq, common.PowerDeliveryReq},
    S.CHARGE_LOOP: {dc.DC_ChargeLoopReq, common.PowerDeliveryReq},
    S.WELDING_DETECTION: {dc.DC_WeldingDetectionReq},
}
AC_ROWS = COMMON_ROWS | {
    S.CHARGE_PARAMETER_DISCOVERY: {ac.AC_ChargeParameterDiscoveryReq},
    S.POWER_DELIVERY: {common.PowerDeliveryReq},
    S.CHARGE_LOOP: {ac.AC_ChargeLoopReq, common.PowerDeliveryReq},
    S.SESSION_STOP: set(),
}
SESSIONS = [
    *((service, control, state) for service, control in (("DC", "DYNAMIC"),) for state in DC_STATES),
    *((service, control, state) for service, control in (("AC", "SCHEDULED"),) for state in AC_STATES),
]
EVERY_STATE = [pytest.param(*s, id=f"{s[0]}-{s[2].value}") for s in SESSIONS]


def served(service: str, state: State) -> set[type]:
    rows = AC_ROWS if service == "AC" else DC_ROWS
    everywhere = set() if state is S.SESSION_SETUP else {common.SessionStopReq}
    return rows[state] | everywhere


def in_order(made: Bench, request: type[V2GRequest]) -> Bench:
    """Levels as they are when this request is due."""
    if made.at is S.CABLE_CHECK or request is common.PowerDeliveryReq:
        made.levels(cp=CpState.C)
    if request is common.SessionStopReq and made.at is not S.CHARGE_LOOP:
        made.levels(cp=CpState.B)
    if request is common.PowerDeliveryReq and made.at is S.PRE_CHARGE:
        made.send(made.ev.pre_charge())
        made.send(made.ev.pre_charge())
        made.send(made.ev.pre_charge(finished=True))
    made.forget()
    return made


def refused(made: Bench, request: V2GRequest, code: ResponseCode) -> None:
    """The paired response with this code, a true header, power off, and the connection closed in time."""
    made.feed_time = made.clock.now
    own_id = made.record.session_id
    response = made.send(request)
    assert type(response).__name__ == type(request).__name__.removesuffix("Req") + "Res"
    assert response.response_code is code
    assert made.payload_types == [lane_of(request)[1]]
    assert response.header.session_id == (own_id or NO_SESSION)
    assert response.header.time_stamp == pytest.approx(made.clock.utc() * 1e6, abs=2)
    assert made.end.reason is EndReason.REFUSED
    assert made.end.fault is Fault.REMOTE
    assert made.issued(Deenergise)
    assert made.close.after <= 5.0
    assert not made.send(made.ev.session_stop()), "nothing is answered after the end"


@pytest.mark.req("V2G20-459")
@pytest.mark.req("V2G20-734")
@pytest.mark.req("V2G20-736")
@pytest.mark.req("V2G20-1643")
@pytest.mark.parametrize(("service", "control", "state"), EVERY_STATE)
def test_request_out_of_place_is_a_sequence_error(service: str, control: str, state: State) -> None:
    for request in EVERY_REQUEST:
        if request in served(service, state):
            continue
        made = reach(state, service, control)
        refused(made, made.ev.sample(request), ResponseCode.FAILED_SEQUENCE_ERROR)
        assert made.end.requirement == "V2G20-459"
        assert made.seen_events(ProtocolFault)[0].requirement == "V2G20-459"
        assert made.end.state == state.value


@pytest.mark.parametrize(("service", "control", "state"), EVERY_STATE)
def test_request_in_its_place_is_served(service: str, control: str, state: State) -> None:
    for request in served(service, state):
        made = in_order(reach(state, service, control), request)
        sample = made.ev.sample(request)
        if request is common.SessionStopReq and state is S.CHARGE_LOOP:
            response = stop_in_the_loop(made)
        else:
            response = made.send(sample)
        assert response is not None, (request, made.at)
        assert response.response_code.value.startswith("OK"), (request, response)
        assert type(response).__name__ == request.__name__.removesuffix("Req") + "Res"
        assert response.header.session_id == made.record.session_id


def stop_in_the_loop(made: Bench):
    """SessionStop in the middle of it: the station opens first and waits for state B."""
    assert made.send(made.ev.session_stop()) is None
    made.levels(cp=CpState.B)
    return made.sent[-1]


@pytest.mark.req("V2G20-460")
@pytest.mark.parametrize("session_id", [WRONG_SESSION, NO_SESSION], ids=["wrong", "zero"])
@pytest.mark.parametrize(("service", "control", "state"), EVERY_STATE)
def test_foreign_session_id_is_an_unknown_session(
    service: str, control: str, state: State, session_id: bytes
) -> None:
    if state is S.SESSION_SETUP:
        return
    for request in (*served(service, state), common.SessionStopReq, common.ServiceDiscoveryReq):
        made = reach(state, service, control)
        foreign = Ev(made.ev.service, made.ev.control, session_id)
        refused(made, foreign.sample(request), ResponseCode.FAILED_UNKNOWN_SESSION)
        assert made.end.requirement == "V2G20-460"


def test_session_id_is_judged_before_the_state() -> None:
    made = reach(S.SERVICE_DETAIL)
    foreign = Ev(session_id=WRONG_SESSION)
    refused(made, foreign.cable_check(), ResponseCode.FAILED_UNKNOWN_SESSION)


@pytest.mark.parametrize("session_id", [NO_SESSION, WRONG_SESSION], ids=["zero", "wrong"])
def test_session_setup_in_a_session_is_a_sequence_error(session_id: bytes) -> None:
    """Its response knows no FAILED_UnknownSession: the id of a SessionSetupReq is never compared."""
    made = reach(S.CHARGE_LOOP)
    refused(made, Ev(session_id=session_id).session_setup(), ResponseCode.FAILED_SEQUENCE_ERROR)


def test_request_before_session_setup_is_answered_with_the_empty_id() -> None:
    made = reach(S.SESSION_SETUP)
    refused(made, made.ev.service_discovery(), ResponseCode.FAILED_SEQUENCE_ERROR)
    made = reach(S.SESSION_SETUP)
    refused(made, Ev(session_id=WRONG_SESSION).session_stop(), ResponseCode.FAILED_SEQUENCE_ERROR)


def test_request_before_the_handshake_is_ignored() -> None:
    from tests.unit.secc.harness import bench

    made = bench()
    assert made.send(made.ev.session_setup()) is None
    assert made.end is None
    assert made.send(made.ev.handshake()) is not None


def test_second_handshake_is_ignored() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    assert made.send(made.ev.handshake()) is None
    assert made.end is None
    assert made.send(made.ev.service_discovery()).response_code is ResponseCode.OK


@pytest.mark.parametrize(("service", "control", "state"), EVERY_STATE)
def test_the_peer_may_vanish_in_every_state(service: str, control: str, state: State) -> None:
    for gone, reason in ((PeerClosed(), EndReason.PEER_CLOSED), (LinkDown(), EndReason.LOCAL)):
        made = reach(state, service, control)
        made.feed(gone)
        assert made.end.reason is reason
        assert made.issued(Deenergise)
        assert made.close.after == 0.0
        made.feed(gone)
        assert len(made.seen_events(type(made.end))) == 1
