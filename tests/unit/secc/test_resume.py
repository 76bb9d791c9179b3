"""Going on with a session after a pause, on the station's side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.config import SeccConfig
from iso15118.control.common import ControlMode, CpState, EnergyService, Wish
from iso15118.control.evse import EvseState, MeterReading
from iso15118.events import (
    Decision,
    EndReason,
    PauseEnded,
    ServiceSelected,
    SessionEstablished,
    SessionPaused,
)
from iso15118.messages.iso20.types import ResponseCode as Code
from iso15118.secc.session import State
from iso15118.security.paused import PausedSession
from tests.unit.secc.contracts import Facts, claim, station
from tests.unit.secc.harness import DC_LIMITS, Bench, Clock, walk
from tests.unit.security.made import contract, pki

OWN = Facts(peer=pki().vehicle().chain[0])
OTHER = Facts(peer=pki().vehicle().chain[0])
MODES = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)


def charging(**given) -> Bench:
    """A session of our own vehicle over TLS that charges, and that the station wants to pause."""
    made = station(state=State.CHARGE_LOOP, tls=given.pop("tls", OWN), control_modes=MODES, **given)
    made.levels(wish=Wish.PAUSE)
    made.send(made.ev.loop())
    return made


def pause(made: Bench):
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.B)
    assert made.send(made.ev.session_stop("PAUSE")).response_code is Code.OK
    assert made.end.reason is EndReason.PAUSED


def kept(**given) -> PausedSession:
    made = charging(**given)
    pause(made)
    (event,) = made.seen_events(SessionPaused)
    return event.session


def again(
    paused: PausedSession | None, *, tls=OWN, later_s=100.0, service=EnergyService.DC, **config
) -> Bench:
    """The next connection, up to SessionSetup; `later_s` after the pause."""
    settings = {"insecure_no_tls": True, "control_modes": MODES, "services": (service,)} | config
    since = paused.since if paused is not None else 0.0
    made = Bench(
        SeccConfig(**settings),
        EvseState(cp=CpState.B, limits=DC_LIMITS, meter=MeterReading("METER", 99.0)),
        clock=Clock(),
        tls=tls,
        paused=paused,
    )
    made.clock.now = since + later_s - made.clock.utc()
    made.ev.service, made.ev.control = service, ControlMode.DYNAMIC
    made.link_up()
    walk(made, State.SESSION_SETUP)
    if paused is not None:
        made.ev.session_id = paused.session_id
    return made


def set_up(made: Bench):
    return made.send(made.ev.session_setup())


@pytest.mark.req("V2G20-1844")
def test_what_is_kept_of_a_paused_session():
    made = charging()
    pause(made)
    (event,) = made.seen_events(SessionPaused)
    paused = event.session
    assert paused.session_id == made.ev.session_id
    assert paused.belongs_to(OWN.peer)
    assert (paused.service, paused.control_mode) == (EnergyService.DC, ControlMode.DYNAMIC)
    assert paused.charged_wh == 12.4
    assert paused.payer == b""
    assert made.events.index(event) < made.events.index(made.end)


def test_without_a_certificate_nothing_can_be_kept():
    made = charging(tls=None)
    pause(made)
    assert not made.seen_events(SessionPaused)


def test_a_session_that_ends_otherwise_is_not_kept():
    made = charging()
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.B)
    made.send(made.ev.session_stop("TERMINATE"))
    assert made.end.reason is EndReason.COMPLETED
    assert not made.seen_events(SessionPaused)


@pytest.mark.req("V2G20-2622")
@pytest.mark.req("V2G20-1032")
def test_the_vehicle_goes_on_without_authorization_and_services():
    paused = kept()
    made = again(paused)
    response = set_up(made)
    assert response.response_code is Code.OK_OLD_SESSION_JOINED
    assert response.header.session_id == paused.session_id
    assert made.at is State.CHARGE_PARAMETER_DISCOVERY
    assert made.record.authorized
    (over,) = made.seen_events(PauseEnded)
    assert over.resumed
    assert made.seen_events(SessionEstablished)[0].session_id == paused.session_id
    assert made.seen_events(ServiceSelected)[0].service == "DC"
    walk(made, State.CHARGE_LOOP)
    assert made.send(made.ev.loop()).response_code is Code.OK
    assert not made.questions or all(q.__class__.__name__ == "ChargingNeeds" for q in made.questions)


@pytest.mark.req("V2G20-1843")
@pytest.mark.parametrize(
    "what", ["authorization_setup", "service_discovery", "service_selection", "cable_check"]
)
def test_after_it_has_joined_only_charge_parameters_may_come(what):
    made = again(kept())
    set_up(made)
    response = made.send(getattr(made.ev, what)())
    assert response.response_code is Code.FAILED_SEQUENCE_ERROR


def new_session(made: Bench, paused: PausedSession | None, why: str):
    response = set_up(made)
    assert response.response_code is Code.OK_NEW_SESSION_ESTABLISHED
    assert paused is None or response.header.session_id != paused.session_id
    assert made.at is State.AUTHORIZATION_SETUP
    assert not made.record.authorized
    assert made.seen_events(Decision)[-1].why.startswith(f"{why}: new session")


@pytest.mark.req("V2G20-2626")
@pytest.mark.req("V2G20-2545")
@pytest.mark.parametrize("tls", [OTHER, None, Facts(peer=None), Facts(peer=b"")])
def test_regression_14_another_vehicle_does_not_go_on_with_it(tls):
    paused = kept()
    made = again(paused, tls=tls)
    new_session(made, paused, "it was paused with another peer")
    assert not made.seen_events(PauseEnded), "the one it belongs to still may"


def test_an_id_that_is_none_of_ours_opens_a_new_session():
    paused = kept()
    made = again(paused)
    made.ev.session_id = bytes.fromhex("0102030405060708")
    new_session(made, paused, "nothing to resume")
    (over,) = made.seen_events(PauseEnded)
    assert (over.session_id, over.resumed) == (paused.session_id, False)


@pytest.mark.req("V2G20-2615")
def test_a_vehicle_that_begins_anew_has_no_paused_session_any_more():
    made = again(kept())
    made.ev.session_id = bytes(8)
    assert set_up(made).response_code is Code.OK_NEW_SESSION_ESTABLISHED
    (over,) = made.seen_events(PauseEnded)
    assert not over.resumed


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"later_s": 100.1, "resume_within_s": 100.0}, "it was paused more than 100 s ago"),
        ({"service": EnergyService.DC_BPT}, "what it was about is not offered any more"),
        ({"control_modes": (ControlMode.SCHEDULED,)}, "what it was about is not offered any more"),
        ({"control_modes": MODES[::-1]}, "what it was about is not offered any more"),
    ],
)
def test_what_does_not_hold_any_more_begins_anew(given, why):
    paused = kept()
    new_session(again(paused, **given), paused, why)


def test_another_protocol_begins_anew():
    paused = kept()
    new_session(again(replace(paused, namespace="urn:other")), paused, "it was about another protocol")


def test_who_has_paid_pays_on():
    """The leaf of the contract verifies meter readings after the pause."""
    made = station(tls=OWN, control_modes=MODES, confirm_meter_every=1)
    made.send(claim(made))
    made.answering = True
    walk(made, State.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    made.send(made.ev.loop())
    pause(made)
    paused = made.seen_events(SessionPaused)[0].session
    assert paused.payer == contract().chain[0]
    made = again(paused, confirm_meter_every=1)
    set_up(made)
    walk(made, State.CHARGE_LOOP)
    status = made.send(made.ev.loop()).evse_status
    assert status.evse_notification.value == "MeteringConfirmation"


def test_a_joined_session_can_be_paused_again():
    paused = kept()
    made = again(paused)
    set_up(made)
    walk(made, State.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    made.send(made.ev.loop())
    pause(made)
    (event,) = made.seen_events(SessionPaused)
    assert event.session.session_id == paused.session_id
    assert event.session.since > paused.since
    assert event.session.charged_wh == 99.0


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (MeterReading("METER", 99.0), 99),  # the controller has gone on counting
        (MeterReading("METER", 12.4), 12),
        (MeterReading("METER", 0.0), 12),  # it was restarted
        (MeterReading("METER", 3.0), 15),
    ],
)
def test_the_energy_of_before_the_pause_is_not_lost(reading, told):
    paused = kept()
    made = again(paused)
    made.levels(meter=reading)
    set_up(made)
    walk(made, State.CHARGE_LOOP)
    assert made.send(made.ev.loop()).meter_info.charged_energy_reading_wh == told
    made.levels(wish=Wish.PAUSE)
    made.send(made.ev.loop())
    pause(made)
    assert round(made.seen_events(SessionPaused)[0].session.charged_wh) == told


def test_a_station_without_a_meter_invents_nothing():
    made = again(replace(kept(), charged_wh=50.0))
    made.levels(meter=None)
    set_up(made)
    walk(made, State.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    assert made.send(made.ev.loop()).meter_info is None
    pause(made)
    assert made.seen_events(SessionPaused)[0].session.charged_wh == 50.0, "and forgets nothing"
