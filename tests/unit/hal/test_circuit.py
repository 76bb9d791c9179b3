"""Both circuits as a whole: pre-charge, inrush, and energy in both directions."""

from __future__ import annotations

import pytest

from hal.virtual.battery import Battery
from hal.virtual.circuit import AcPlant, DcPlant, Plant


def let_pass(plant: Plant, seconds: float) -> None:
    end = plant.elapsed_s + seconds
    while plant.elapsed_s < end - 1e-9:
        plant.step(min(plant.due_s, end - plant.elapsed_s))


def connected_dc(soc: float = 0.5) -> DcPlant:
    plant = DcPlant(Battery(soc=soc))
    plant.evse_contactor.command(True)
    let_pass(plant, 0.1)
    plant.supply.drive(plant.battery.emf_v, 2.0)
    let_pass(plant, 1.0)
    plant.ev_contactor.command(True)
    let_pass(plant, 0.1)
    return plant


def test_pre_charge_meets_the_battery() -> None:
    plant = connected_dc()
    closing = plant.closings[-1]
    assert closing.side == "EV"
    assert abs(closing.difference_v) < 0.1
    assert not plant.ev_contactor.welded


def test_a_wrong_pre_charge_is_visible() -> None:
    plant = DcPlant(Battery(soc=0.5))
    plant.evse_contactor.command(True)
    let_pass(plant, 0.1)
    plant.supply.drive(400.0, 2.0)
    let_pass(plant, 1.0)
    plant.ev_contactor.command(True)
    let_pass(plant, 0.1)
    assert plant.closings[-1].difference_v == pytest.approx(44.8)
    assert plant.closings[-1].inrush_a == pytest.approx(640.0)
    assert plant.ev_contactor.welded


def test_dc_energy_in_both_directions() -> None:
    plant = connected_dc()
    plant.supply.drive(400.0, 200.0)
    let_pass(plant, 600.0)
    charged = plant.delivered_wh
    assert charged == pytest.approx(200.0 * (364.0 + 200.0 * 0.1) / 6.0, rel=0.01)
    assert abs(plant.balance_wh()) < 1e-6 * charged
    plant.supply.drive(400.0, -100.0, 300.0)
    let_pass(plant, 600.0)
    assert plant.fed_back_wh == pytest.approx(100.0 * 360.0 / 6.0, rel=0.03)
    assert plant.delivered_wh == pytest.approx(charged, rel=0.002)
    assert plant.meter.charged_wh == plant.delivered_wh
    assert abs(plant.balance_wh()) < 1e-6 * charged
    losses = plant.battery.loss_wh + plant.cable_loss_wh
    assert 0.03 * charged < losses < 0.08 * charged


def test_current_stops_when_either_contactor_opens() -> None:
    for side in ("evse_contactor", "ev_contactor"):
        plant = connected_dc()
        plant.supply.drive(400.0, 100.0)
        let_pass(plant, 2.0)
        assert plant.current_a == pytest.approx(100.0)
        getattr(plant, side).command(False)
        let_pass(plant, 0.1)
        assert plant.current_a == 0.0
        assert getattr(plant, side).load_breaks == 1


def test_voltage_is_safe_after_switching_off() -> None:
    plant = connected_dc()
    plant.supply.drive(400.0, 100.0)
    let_pass(plant, 2.0)
    plant.supply.off()
    plant.evse_contactor.command(False)
    let_pass(plant, 0.5)
    assert plant.outlet_v == pytest.approx(plant.battery.emf_v)  # the car's contactor is still closed
    plant.ev_contactor.command(False)
    let_pass(plant, 1.0)
    assert plant.outlet_v < 60.0


def test_ac_energy_in_both_directions() -> None:
    plant = AcPlant(Battery(soc=0.5))
    plant.converter.target_w = 11_000.0
    let_pass(plant, 10.0)
    assert plant.delivered_wh == 0.0  # both contactors open
    plant.evse_contactor.command(True)
    plant.ev_contactor.command(True)
    let_pass(plant, 3600.0)
    assert plant.power_w == pytest.approx(11_000.0, rel=1e-3)
    charged = plant.delivered_wh
    plant.converter.target_w = -5000.0
    let_pass(plant, 1800.0)
    assert plant.fed_back_wh == pytest.approx(2500.0, rel=0.01)
    assert abs(plant.balance_wh()) < 0.001 * charged
    assert plant.converter.loss_wh == pytest.approx(0.06 * charged + 2500 * (1 / 0.94 - 1), rel=0.02)


def test_long_steps_miss_no_switching() -> None:
    plant = connected_dc()
    plant.ev_contactor.command(False)
    assert plant.due_s <= plant.ev_contactor.open_s
