"""What a firmware starts from."""

from __future__ import annotations

import asyncio

import pytest

from iso15118.control.common import ControlMode, CpState, EnergyService
from iso15118.control.ev import EvControllerBase
from iso15118.control.evse import (
    AuthorizationQuestion,
    ChargingNeeds,
    CloseContactor,
    EvseControllerBase,
    EvseState,
)
from iso15118.energy.offer import OfferStep
from iso15118.errors import LocalProtocolError
from iso15118.units import Envelope, Limits

E = EnergyService


def test_states_that_are_ready_for_energy() -> None:
    assert {c for c in CpState if c.ready} == {CpState.C, CpState.D}


def test_services_by_kind() -> None:
    assert {s for s in E if s.is_ac} == {E.AC, E.AC_BPT}
    assert {s for s in E if s.is_dc} == {E.DC, E.DC_BPT, E.MCS, E.MCS_BPT}
    both = {E.AC_BPT, E.DC_BPT, E.DC_ACDP_BPT, E.MCS_BPT, E.AC_DER_IEC, E.AC_DER_SAE}
    assert {s for s in E if s.bidirectional} == both
    assert [int(s) for s in E] == list(range(1, 12))


def test_a_station_without_levels_is_safe_and_powerless() -> None:
    state = EvseState()
    assert state.safe
    assert state.limits == Envelope()
    assert not EvseState(emergency_stop=True).safe
    assert not EvseState(fault="fan").safe


def test_defaults_of_a_station() -> None:
    base = EvseControllerBase()
    assert asyncio.run(base.authorize(AuthorizationQuestion("EV"))).accepted
    needs = ChargingNeeds(
        service=E.DC_BPT,
        control_mode=ControlMode.SCHEDULED,
        limits=Envelope(Limits(50_000.0), Limits(10_000.0)),
        max_points=12,
    )
    (offer,) = asyncio.run(base.offer_energy(needs)).offers
    assert offer.steps == (OfferStep(86_400, 50_000.0, 10_000.0),)
    with pytest.raises(LocalProtocolError, match="CloseContactor"):
        base.command(CloseContactor())


def test_a_car_without_hardware_refuses_commands() -> None:
    with pytest.raises(LocalProtocolError):
        EvControllerBase().command(object())
