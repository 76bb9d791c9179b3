"""Physical values: RationalNumber arithmetic and the power envelope.

One sign rule everywhere in this package: energy, power and current are positive **into the EV**
and negative out of it (discharging). Limits are magnitudes (never negative); their direction is
told by where they stand (`charge` or `discharge`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_MANTISSA_MAX: Final = 32767
_LARGEST: Final = 32767e127
_SMALLEST: Final = 0.5e-128


def to_rational(value: float) -> tuple[int, int]:
    """`value` as (exponent, mantissa) with value = mantissa * 10**exponent.

    Exponent 0 for integers within 16 bits; otherwise the smallest exponent whose rounded mantissa
    still fits (four to five significant digits); what is too small for any exponent is 0. Raises
    ValueError for nan, infinities, and sizes above 32767e127.
    """
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{value} has no RationalNumber")
    if abs(value) < _SMALLEST:
        return 0, 0
    if value == int(value) and abs(value) <= _MANTISSA_MAX:
        return 0, int(value)
    exponent = max(-128, math.ceil(math.log10(abs(value) / _MANTISSA_MAX)))
    mantissa = round(value / 10.0**exponent)
    if abs(mantissa) > _MANTISSA_MAX:
        exponent += 1
        mantissa = round(value / 10.0**exponent)
    while mantissa and mantissa % 10 == 0 and exponent < 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    return exponent, mantissa


def from_rational(exponent: int, mantissa: int) -> float:
    """The value mantissa * 10**exponent, exact in decimal before it becomes a float."""
    return float(mantissa * 10**exponent) if exponent >= 0 else mantissa / 10**-exponent


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one direction, as magnitudes: W and A, maxima and minima.

    A zero maximum means that nothing may flow in this direction.
    """

    max_power_w: float = 0.0
    max_current_a: float = 0.0
    min_power_w: float = 0.0
    min_current_a: float = 0.0

    def __post_init__(self) -> None:
        values = (self.max_power_w, self.max_current_a, self.min_power_w, self.min_current_a)
        if not all(value >= 0 for value in values):
            raise ValueError("limits are magnitudes and cannot be negative or nan")

    def within(self, other: Limits) -> Limits:
        """The tighter of both, value by value."""
        return Limits(
            max_power_w=min(self.max_power_w, other.max_power_w),
            max_current_a=min(self.max_current_a, other.max_current_a),
            min_power_w=max(self.min_power_w, other.min_power_w),
            min_current_a=max(self.min_current_a, other.min_current_a),
        )


NO_FLOW: Final = Limits()


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one side can do, in both directions: charge and discharge limits and a voltage window (V).

    For AC, `max_current_a` is per phase and unused by the protocol; `phases` is 1 or 3 and powers
    are the sum of all phases.
    """

    charge: Limits = NO_FLOW
    discharge: Limits = NO_FLOW
    max_voltage_v: float = 0.0
    min_voltage_v: float = 0.0
    phases: int = 3

    @property
    def bidirectional(self) -> bool:
        """Whether energy may flow out of the EV."""
        return self.discharge.max_power_w > 0

    def within(self, other: Envelope) -> Envelope:
        """The intersection of both envelopes."""
        return Envelope(
            self.charge.within(other.charge),
            self.discharge.within(other.discharge),
            min(self.max_voltage_v, other.max_voltage_v),
            max(self.min_voltage_v, other.min_voltage_v),
            min(self.phases, other.phases),
        )

    def clamp_power(self, power_w: float) -> float:
        """`power_w` (signed) cut to the limits; below a minimum nothing flows at all."""
        limits = self.charge if power_w >= 0 else self.discharge
        size = min(abs(power_w), limits.max_power_w)
        if size < limits.min_power_w:
            return 0.0
        return math.copysign(size, power_w) if size else 0.0

    def clamp_current(self, current_a: float) -> float:
        """`current_a` (signed) cut to the current limits; below a minimum nothing flows."""
        limits = self.charge if current_a >= 0 else self.discharge
        size = min(abs(current_a), limits.max_current_a)
        if size < limits.min_current_a:
            return 0.0
        return math.copysign(size, current_a) if size else 0.0
