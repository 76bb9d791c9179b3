"""The car's side: what an EV (or its simulation) tells and is told. Mirrors `evse`.

Signs: + is into the EV. All values SI: V, A, W, Wh, s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from iso15118.control.common import Contactor, ControlMode, EnergyService, Wish
from iso15118.errors import LocalProtocolError
from iso15118.units import Envelope

if TYPE_CHECKING:
    from iso15118.security.contracts import Contract


@dataclass(frozen=True, slots=True)
class EnergyNeeds:
    """Energy requests (Wh, signed: negative = the battery is above that mark).

    target: to the SoC wanted at departure; maximum: to the highest allowed SoC; minimum: to the
    SoC below which charging has priority. The V2X pair bounds the cycling window and is given
    together or not at all [V2G20-2681].
    """

    target_wh: float = 0.0
    maximum_wh: float = 0.0
    minimum_wh: float = 0.0
    v2x_maximum_wh: float | None = None
    v2x_minimum_wh: float | None = None


@dataclass(frozen=True, slots=True)
class EvState:
    """Everything the session reads of the car, as levels at one moment.

    `inlet_voltage_v` is measured on the EVSE side of the contactor, `battery_voltage_v` behind
    it. `target_current_a`/`target_voltage_v` are what the battery management wants now (DC,
    signed current), `target_power_w` the same for AC. `soc_percent` 0..100. Three levels matter only where the stack
    owns the plug: `duty` of the control pilot in percent (100: steady +12 V, 0: E or F, None: nothing plugged in),
    `wake`, whether a paused car wants to go on, and `basic`, whether charging by duty cycle alone is welcome.
    """

    soc_percent: float = 50.0
    capacity_wh: float = 0.0
    battery_voltage_v: float = 0.0
    inlet_voltage_v: float = 0.0
    current_a: float = 0.0
    power_w: float = 0.0
    reactive_var: float = 0.0
    contactor: Contactor = Contactor.OPEN
    limits: Envelope = field(default_factory=Envelope)
    needs: EnergyNeeds = field(default_factory=EnergyNeeds)
    departure_s: int = 3600
    target_voltage_v: float = 0.0
    target_current_a: float = 0.0
    target_power_w: float = 0.0
    minimum_soc: int | None = None
    target_soc: int | None = None
    complete: bool = False
    wish: Wish | None = None
    emergency_stop: bool = False
    fault: str = ""
    duty: float | None = None
    wake: bool = False
    basic: bool = True

    @property
    def safe(self) -> bool:
        """Whether nothing forbids energy: no emergency stop, no fault."""
        return not self.emergency_stop and not self.fault


# --- commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetPilot:
    """Signal readiness on the control pilot: True = state C, False = state B.

    `brief`: one half of a toggle, to wake the station or to prove who is at the cable; it asks for no energy.
    """

    ready: bool
    brief: bool = False


@dataclass(frozen=True, slots=True)
class CloseContactor:
    """Connect the battery (DC) or the on-board charger (AC) to the inlet."""


@dataclass(frozen=True, slots=True)
class OpenContactor:
    """Disconnect from the inlet; the current is already near zero."""


@dataclass(frozen=True, slots=True)
class SetPower:
    """What may flow now (W and var, signed): the AC set-point, or the EVSE's current limits in DC."""

    power_w: float
    reactive_var: float = 0.0


@dataclass(frozen=True, slots=True)
class ChargeBasic:
    """Charge by the duty cycle alone: at most `limit_a` per phase; 0 stops and disconnects.

    Sent only where the stack owns the plug (`iso15118.plug`).
    """

    limit_a: float


@dataclass(frozen=True, slots=True)
class Deenergise:
    """Stop power transfer and disconnect, now."""

    reason: str


Command = SetPilot | CloseContactor | OpenContactor | SetPower | ChargeBasic | Deenergise


# --- questions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One parameter set of an offered service: values by parameter name (int, bool, float or str)."""

    service: int
    parameter_set_id: int
    values: dict[str, int | bool | float | str]

    @property
    def control_mode(self) -> int | None:
        """The ControlMode parameter (1 Scheduled, 2 Dynamic), None where it is missing or no integer."""
        value = self.values.get("ControlMode")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return int(value) if float(value).is_integer() else None


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """Which of these parameter sets does the EV want? In the station's order of preference."""

    offers: tuple[ParameterSet, ...]


@dataclass(frozen=True, slots=True)
class PowerStep:
    """A stretch of a power plan: `duration_s` at `power_w` (signed)."""

    duration_s: int
    power_w: float


@dataclass(frozen=True, slots=True)
class ScheduleOption:
    """One offered schedule tuple: upper limits of charging and discharging power over time (W).

    `price_per_kwh` is the energy fee of each charging step where an absolute price schedule was
    given, else empty; `tolerance_w` the deviation the station watches for, None if it does not.
    """

    tuple_id: int
    charge: tuple[PowerStep, ...]
    discharge: tuple[PowerStep, ...] = ()
    price_per_kwh: tuple[float, ...] = ()
    currency: str = ""
    tolerance_w: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduleChoice:
    """Which schedule, and how will the EV use it? `options` is empty in Dynamic mode."""

    control_mode: ControlMode
    options: tuple[ScheduleOption, ...]


@dataclass(frozen=True, slots=True)
class ScheduleDecision:
    """The chosen tuple and the EV's power profile (signed power steps)."""

    tuple_id: int
    profile: tuple[PowerStep, ...]
    tolerance_accepted: bool = True


@dataclass(frozen=True, slots=True)
class StoreContract:
    """A contract came over the station, was verified and its key fits: keep it where it survives. True once it is kept."""

    contract: Contract


Question = ServiceChoice | ScheduleChoice
"""What every controller answers."""
AnyQuestion = Question | StoreContract
"""What a session may ask; StoreContract only where `install_contracts` is configured."""


class EvController(Protocol):
    """What a car (or its simulation) implements."""

    def command(self, command: Command) -> None:
        """Carry out `command`; must return at once."""

    async def choose_service(self, question: ServiceChoice) -> ParameterSet | None:
        """Choose a parameter set; None ends the session politely."""

    async def choose_schedule(self, question: ScheduleChoice) -> ScheduleDecision:
        """Choose a schedule tuple and a power profile within it."""


class ContractKeeper(Protocol):
    """What a car implements besides where it fetches contracts over stations."""

    async def store_contract(self, question: StoreContract) -> bool:
        """Keep chain and key together; True once both are safe. Without it the contract serves this session alone."""


class EvControllerBase:
    """Defaults: the first set of the wanted service and control mode, the first schedule, full power, contracts not kept.

    `wanted` lists energy services by preference; `control_mode` None takes what comes.
    """

    wanted: tuple[EnergyService, ...] = (EnergyService.DC,)
    control_mode: ControlMode | None = None

    def command(self, command: Command) -> None:
        """Carry out `command`; the base has no hardware and refuses."""
        raise LocalProtocolError(f"{type(self).__name__}.command must carry out {command}")

    async def choose_service(self, question: ServiceChoice) -> ParameterSet | None:
        """The first offer that fits `wanted` and `control_mode`."""
        for service in self.wanted:
            for offer in question.offers:
                if offer.service == service and self.control_mode in (None, offer.control_mode):
                    return offer
        return None

    async def choose_schedule(self, question: ScheduleChoice) -> ScheduleDecision:
        """The first option at the power it allows; in Dynamic mode an empty plan."""
        if not question.options:
            return ScheduleDecision(tuple_id=0, profile=())
        first = question.options[0]
        return ScheduleDecision(tuple_id=first.tuple_id, profile=first.charge)

    async def store_contract(self, question: StoreContract) -> bool:
        """Keep nothing: there is no store."""
        return False
