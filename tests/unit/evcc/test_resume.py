"""Going on with a session after a pause, on the car's side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from iso15118.control.common import ControlMode, EnergyService
from iso15118.events import Decision, PauseEnded, ServiceSelected, SessionPaused
from iso15118.messages import namespaces
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import EvseNotification, EVSEStatus, ResponseCode
from iso15118.security.binding import session_binding
from iso15118.security.contracts import Wallet
from iso15118.security.paused import PausedSession
from tests.unit.evcc.contracts import OTHER, ContractStation, drive, held
from tests.unit.evcc.harness import AC, CAR_UTC, DC, DYNAMIC, Bench, config
from tests.unit.evcc.station import SESSION_ID, Station

LEAF = b"the station's certificate"
JOINED, NEW = ResponseCode.OK_OLD_SESSION_JOINED, ResponseCode.OK_NEW_SESSION_ESTABLISHED
PAUSE_NOW = EVSEStatus(notification_max_delay=60, evse_notification=EvseNotification.PAUSE)


@dataclass
class Facts:
    version: int = 0x0304
    peer: bytes | None = LEAF


def paused_session(service: EnergyService = DC, **changes) -> PausedSession:
    usual = PausedSession(
        session_id=SESSION_ID,
        binding=session_binding(SESSION_ID, LEAF),
        namespace=namespaces.DC if service.is_dc else namespaces.AC,
        service=service,
        parameter_set_id=1,
        control_mode=DYNAMIC,
        renegotiation_supported=True,
        since=CAR_UTC - 100.0,
    )
    return replace(usual, **changes)


def joining(code=JOINED, **fields) -> Station:
    return Station().alter("SessionSetupReq", response_code=code, **fields)


def again(paused=None, station=None, tls=None, service=DC, **more) -> Bench:
    """A car that was paused comes back."""
    more = {"config": config(service)} | more
    return Bench(
        service,
        station=station or joining(),
        tls=tls or Facts(),
        paused=paused or paused_session(service),
        **more,
    )


@pytest.mark.req("V2G20-1032")
@pytest.mark.parametrize("service", [DC, AC])
def test_it_goes_on_without_authorization_and_services(service):
    station = Station(service).alter("SessionSetupReq", response_code=JOINED)
    bench = again(service=service, station=station).run()
    assert bench.outcome == ("completed", "none")
    assert bench.steps[:3] == [
        "SupportedAppProtocolReq",
        "SessionSetupReq",
        f"{service.name}_ChargeParameterDiscoveryReq",
    ]
    assert bench.one("SessionSetupReq").header.session_id == SESSION_ID
    (over,) = bench.seen(PauseEnded)
    assert (over.session_id, over.resumed) == (SESSION_ID, True)
    (selected,) = bench.seen(ServiceSelected)
    assert selected.service == service.name
    assert bench.left_safely


@pytest.mark.req("V2G20-2615")
def test_a_station_that_begins_anew_makes_it_forget_all():
    bench = again(station=joining(NEW)).run()
    assert bench.outcome == ("completed", "none")
    assert "AuthorizationReq" in bench.names
    assert "ServiceSelectionReq" in bench.names
    (over,) = bench.seen(PauseEnded)
    assert not over.resumed


@pytest.mark.req("V2G20-2539")
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tls": Facts(peer=LEAF + b"x")}, "another peer"),
        ({"paused": paused_session(binding=b"")}, "another peer"),
        ({"paused": paused_session(namespace=namespaces.AC)}, "another protocol"),
        ({"paused": paused_session(since=CAR_UTC - 90_000.0)}, "86400 s ago"),
        ({"paused": paused_session(service=EnergyService.DC_BPT)}, "not wanted any more"),
        ({"paused": paused_session(payer=b"a contract")}, "contract that pays for it is gone"),
    ],
)
def test_no_other_station_hears_of_the_session(given, why):
    bench = again(station=joining(NEW), **given).run()
    assert bench.one("SessionSetupReq").header.session_id == bytes(8)
    assert why in next(e.why for e in bench.seen(Decision) if e.what == "pause")
    assert not bench.seen(PauseEnded)[0].resumed
    assert bench.outcome == ("completed", "none")


def test_without_tls_there_is_nothing_to_go_on_with():
    bench = Bench(DC, station=joining(NEW), paused=paused_session()).run()
    assert bench.one("SessionSetupReq").header.session_id == bytes(8)


@pytest.mark.req("V2G20-2613")
@pytest.mark.parametrize(
    ("station", "paused"),
    [
        (joining(), None),
        (joining(ResponseCode.OK), paused_session()),
    ],
)
def test_an_answer_that_was_not_asked_for_ends_it(station, paused):
    bench = Bench(DC, station=station, paused=paused, tls=Facts()).run()
    assert bench.outcome == ("protocol", "remote")
    assert bench.left_safely


def test_another_session_than_the_one_that_was_asked_for():
    station = Station(session_id=bytes(range(1, 9))).alter("SessionSetupReq", response_code=JOINED)
    bench = again(station=station).run()
    assert bench.outcome == ("protocol", "remote")
    assert "another session" in bench.ended.detail


def pausing(**more) -> Bench:
    station = (more.pop("station", None) or Station()).alter(
        "DC_ChargeLoopReq", first=1, evse_status=PAUSE_NOW
    )
    return Bench(DC, station=station, tls=more.pop("tls", Facts()), **more)


def test_what_is_kept_of_a_paused_session():
    bench = pausing().run()
    assert bench.outcome == ("paused", "none")
    (event,) = bench.seen(SessionPaused)
    paused = event.session
    assert paused.session_id == SESSION_ID
    assert paused.belongs_to(LEAF)
    assert (paused.service, paused.control_mode, paused.namespace) == (DC, ControlMode.DYNAMIC, namespaces.DC)
    assert paused.peer_id == "DE*ABC*E1"
    assert again(paused).run().one("SessionSetupReq").header.session_id == SESSION_ID


def test_without_the_stations_certificate_nothing_can_be_kept():
    bench = pausing(tls=Facts(peer=None)).run()
    assert bench.outcome == ("paused", "none")
    assert not bench.seen(SessionPaused)


def test_a_refused_pause_keeps_nothing():
    station = Station().alter("SessionStopReq", response_code=ResponseCode.FAILED_PAUSE_NOT_ALLOWED)
    bench = pausing(station=station).run()
    assert bench.outcome == ("refused", "remote")
    assert not bench.seen(SessionPaused)


def test_the_contract_that_paid_signs_after_the_pause():
    station = ContractStation()
    station.alter("DC_ChargeLoopReq", first=1, evse_status=PAUSE_NOW)
    before = drive(station, contracts=(held(OTHER), held()))
    before.machine.ev.peer = LEAF
    before.run()
    (event,) = before.seen(SessionPaused)
    assert event.session.payer == held(OTHER).chain[0]
    wallet = Wallet((held(), held(OTHER)))
    bench = again(event.session, wallet=wallet, config=config(DC, authorization=("PnC",)))
    bench.run(until=bench.asked_for("DC_ChargeLoopReq"))
    assert bench.machine.ev.contract == held(OTHER)
    assert isinstance(bench.requests[1].message, common.SessionSetupReq)
