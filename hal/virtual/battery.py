"""A lithium battery as an electric circuit: charge, voltage, losses and what the cells allow.

Advanced by `step(current, dt)` with a constant current within the step; charge, energy and losses are exact for
any step length. + is into the battery. V, A, W, Wh, Ohm, s.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

CELL_CURVE: Final = (
    (0.0, 3.00),
    (0.05, 3.35),
    (0.1, 3.45),
    (0.2, 3.55),
    (0.3, 3.61),
    (0.4, 3.65),
    (0.5, 3.70),
    (0.6, 3.78),
    (0.7, 3.88),
    (0.8, 3.98),
    (0.9, 4.08),
    (1.0, 4.18),
)
"""State of charge (0..1) and open-circuit voltage of a lithium cell."""

CELL_MAX_V: Final = 4.2
CELL_MIN_V: Final = 2.9
SECONDS_PER_HOUR: Final = 3600.0


class Battery:
    """Open-circuit voltage over state of charge, inner resistance, one RC branch.

    `soc` 0..1. `stored_wh` is the energy in the open-circuit voltage alone; `polarised_wh` sits in the RC
    branch, `loss_wh` became heat.
    """

    __slots__ = (
        "_anchors",
        "_energies",
        "_slopes",
        "_volts",
        "capacity_as",
        "capacity_wh",
        "cells",
        "charge_as",
        "loss_wh",
        "polarised_v",
        "r0_ohm",
        "r1_ohm",
        "tau_s",
    )

    def __init__(
        self,
        *,
        capacity_wh: float = 60_000.0,
        cells: int = 96,
        soc: float = 0.5,
        r0_ohm: float = 0.06,
        r1_ohm: float = 0.03,
        tau_s: float = 30.0,
    ) -> None:
        if capacity_wh <= 0 or cells <= 0 or not 0 <= soc <= 1 or min(r0_ohm, r1_ohm, tau_s) <= 0:
            raise ValueError("a battery needs a capacity, cells, a state of charge within 0..1, resistances")
        self.cells, self.capacity_wh = cells, capacity_wh
        self.r0_ohm, self.r1_ohm, self.tau_s = r0_ohm, r1_ohm, tau_s
        self._anchors = tuple(x for x, _ in CELL_CURVE)
        self._volts = tuple(v * cells for _, v in CELL_CURVE)
        self._slopes = tuple(
            (v1 - v0) / (x1 - x0)
            for x0, v0, x1, v1 in zip(
                self._anchors, self._volts, self._anchors[1:], self._volts[1:], strict=False
            )
        )
        areas = [0.0]  # volts times state of charge, up to each anchor
        for i, slope in enumerate(self._slopes):
            width = self._anchors[i + 1] - self._anchors[i]
            areas.append(areas[-1] + self._volts[i] * width + slope * width * width / 2)
        self._energies = tuple(areas)
        self.capacity_as = capacity_wh * SECONDS_PER_HOUR / areas[-1]
        self.charge_as = soc * self.capacity_as
        self.polarised_v = 0.0
        self.loss_wh = 0.0

    @property
    def soc(self) -> float:
        """State of charge, 0..1 (a little beyond where it was over-charged)."""
        return self.charge_as / self.capacity_as

    def _segment(self, soc: float) -> int:
        return min(max(bisect_right(self._anchors, soc) - 1, 0), len(self._slopes) - 1)

    @property
    def open_circuit_v(self) -> float:
        """Voltage at rest, without polarisation."""
        soc = self.charge_as / self.capacity_as
        i = self._segment(soc)
        return self._volts[i] + self._slopes[i] * (soc - self._anchors[i])

    @property
    def emf_v(self) -> float:
        """Voltage behind the inner resistance: open circuit plus polarisation."""
        return self.open_circuit_v + self.polarised_v

    @property
    def stored_wh(self) -> float:
        """Integral of the open-circuit voltage over charge, from empty."""
        return self._stored_wh(self.soc)

    def _stored_wh(self, soc: float) -> float:
        i = self._segment(soc)
        x = soc - self._anchors[i]
        area = self._energies[i] + self._volts[i] * x + self._slopes[i] * x * x / 2
        return area * self.capacity_as / SECONDS_PER_HOUR

    @property
    def polarised_wh(self) -> float:
        """Energy in the RC branch."""
        return self.tau_s / self.r1_ohm * self.polarised_v**2 / 2 / SECONDS_PER_HOUR

    @property
    def max_v(self) -> float:
        """Charging must not lift the terminals above this."""
        return CELL_MAX_V * self.cells

    @property
    def min_v(self) -> float:
        """Discharging must not pull the terminals below this."""
        return CELL_MIN_V * self.cells

    def terminal_v(self, current_a: float) -> float:
        """Voltage at the terminals while `current_a` flows in."""
        return self.emf_v + current_a * self.r0_ohm

    def max_charge_a(self) -> float:
        """What the cells take: 2.5 C up to half full, falling to 0.3 C at 90 % and 0.1 C at full."""
        soc, one_c = self.soc, self.capacity_as / SECONDS_PER_HOUR
        if soc <= 0.5:
            return 2.5 * one_c
        if soc <= 0.9:
            return (2.5 - 5.5 * (soc - 0.5)) * one_c
        return max(0.0, 0.3 - 2.0 * (soc - 0.9)) * one_c

    def current_for(self, power_w: float) -> float:
        """The current at which the terminals take `power_w` (negative: give it).

        Where the battery cannot give that much, the current of its maximum power.
        """
        emf = self.emf_v
        root = emf * emf + 4 * self.r0_ohm * power_w
        return (math.sqrt(root) - emf) / (2 * self.r0_ohm) if root > 0 else -emf / (2 * self.r0_ohm)

    def step(self, current_a: float, dt: float) -> float:
        """Let `current_a` flow in for `dt`; returns the energy that entered at the terminals (Wh)."""
        branch_v = self.r1_ohm * current_a
        decay = math.exp(-dt / self.tau_s)
        old_v = self.polarised_v
        new_v = branch_v + (old_v - branch_v) * decay
        volt_seconds = branch_v * dt + (old_v - branch_v) * self.tau_s * (1 - decay)
        held = self.tau_s / self.r1_ohm * (new_v * new_v - old_v * old_v) / 2
        into_branch = current_a * volt_seconds
        in_r0 = current_a * current_a * self.r0_ohm * dt
        self.polarised_v = new_v
        self.loss_wh += (in_r0 + into_branch - held) / SECONDS_PER_HOUR
        return self._move_charge(current_a * dt) + (into_branch + in_r0) / SECONDS_PER_HOUR

    def _move_charge(self, charge_as: float) -> float:
        """Take in charge; returns the energy that takes (Wh), exact for steps of any size."""
        before = self.soc
        first = self._segment(before)
        voltage = self._volts[first] + self._slopes[first] * (before - self._anchors[first])
        self.charge_as += charge_as
        if self._segment(self.soc) != first:
            return self.stored_wh - self._stored_wh(before)
        mean_v = voltage + self._slopes[first] * charge_as / self.capacity_as / 2
        return mean_v * charge_as / SECONDS_PER_HOUR
