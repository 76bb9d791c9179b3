"""What a simulated session is about: service, control mode, station, car, and how long.

`basic` is the plain session of a service, `varied` draws one by seed, `demo` charges and then feeds back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from iso15118.config import EvccConfig, SeccConfig
from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.errors import ConfigError
from iso15118.sim.virtual_ev import AC_CAR, DC_CAR, EvSetup
from iso15118.sim.virtual_evse import AC_STATION, DC_STATION, EvseSetup
from iso15118.units import NO_FLOW, Envelope

if TYPE_CHECKING:
    from iso15118.sim.contracts import PlugAndCharge
    from iso15118.sim.tls import Credentials

SERVICES: Final = ("AC", "AC_BPT", "DC", "DC_BPT")
CONTROLS: Final = ("scheduled", "dynamic")
COMBINATIONS: Final = tuple((energy, control) for energy in SERVICES for control in CONTROLS)
"""The eight combinations of service and control mode that are simulated as a matter of course."""

LOOPS: Final = 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """A session to be simulated. `loops` None: until the car has what it wants.

    `secc` and `evcc` replace the configurations that follow from the rest. `tls`: who both sides are on TLS; None:
    plain TCP. `pnc`: contracts and whom the station trusts with them; None: a card.
    """

    service: EnergyService = EnergyService.DC
    control: ControlMode = ControlMode.DYNAMIC
    evse: EvseSetup = field(default_factory=EvseSetup)
    ev: EvSetup = field(default_factory=EvSetup)
    loops: int | None = LOOPS
    secc: SeccConfig | None = None
    evcc: EvccConfig | None = None
    tls: Credentials | None = None
    pnc: PlugAndCharge | None = None


def service_of(name: str) -> EnergyService:
    """An energy service by its name, in any case. ConfigError names those that can be simulated."""
    service = EnergyService.__members__.get(name.upper())
    if service is None or not (service.is_ac or service.is_dc):
        accepted = ", ".join(s.name for s in EnergyService if s.is_ac or s.is_dc)
        raise ConfigError("energy", f"{name!r}; accepted: {accepted}")
    return service


def control_of(name: str) -> ControlMode:
    """A control mode by its name, in any case. ConfigError names both."""
    mode = ControlMode.__members__.get(name.upper())
    if mode is None:
        raise ConfigError("control", f"{name!r}; accepted: {', '.join(CONTROLS)}")
    return mode


def basic(energy: str = "DC", control: str = "dynamic", *, loops: int | None = LOOPS) -> Scenario:
    """A plain session. A bidirectional one charges for a second or two and then feeds back."""
    service, mode = service_of(energy), control_of(control)
    dynamic, turning = mode is ControlMode.DYNAMIC, service.bidirectional
    setpoints = ((0.0, 8000.0), (1.0, -6000.0))
    plan = ((0.0, 8000.0), (4.0 if service.is_dc else 2.0, -6000.0))
    return Scenario(
        service,
        mode,
        EvseSetup(
            limits=_of(service, DC_STATION, AC_STATION), setpoints=setpoints if turning and dynamic else ()
        ),
        EvSetup(
            services=(service,),
            control_mode=mode,
            limits=_of(service, DC_CAR, AC_CAR),
            plan=plan if turning and not dynamic else (),
        ),
        loops,
    )


def varied(energy: str, control: str, seed: int) -> Scenario:
    """A session whose battery, delays, powers and length are drawn from the seed."""
    chance = random.Random(f"scenario {seed}")
    plain = basic(energy, control, loops=chance.randint(3, 40))
    turn_s = chance.uniform(0.3, 3.0)
    charge_w, back_w = (round(chance.uniform(1000, 20_000)) for _ in range(2))
    evse = replace(
        plain.evse,
        authorize_s=chance.choice((0.0, 0.3, 2.0, chance.uniform(0, 10))),
        offer_s=chance.choice((0.0, 0.2, chance.uniform(0, 5))),
        cable_check_s=chance.uniform(0.5, 8.0),
        lock_s=chance.uniform(0.05, 1.0),
    )
    ev = replace(
        plain.ev,
        soc=round(chance.uniform(0.25, 0.95), 3),
        target_soc=chance.choice((0.8, 0.9, 1.0)),
        capacity_wh=chance.choice((30_000.0, 60_000.0, 90_000.0)),
        schedule_s=chance.choice((0.0, 0.2, chance.uniform(0, 5))),
        service_s=chance.choice((0.0, 0.05, 1.0)),
    )
    evse = replace(evse, wishes=_wishes(chance))
    ev = replace(ev, wishes=_wishes(chance))
    if plain.evse.setpoints:
        evse = replace(evse, setpoints=((0.0, charge_w), (turn_s, -back_w)))
    if plain.ev.plan:  # counted from the schedule's beginning: preparation comes first
        ready_s = ev.schedule_s + evse.lock_s + (evse.cable_check_s + 2.0 if plain.service.is_dc else 0.2)
        ev = replace(ev, plan=((0.0, charge_w), (ready_s + turn_s, -back_w)))
    return replace(plain, evse=evse, ev=ev)


def _wishes(chance: random.Random) -> tuple[tuple[float, Wish | None], ...]:
    """Now and then a side wants to stop, pause or renegotiate; the last is wanted once, not for ever."""
    if chance.random() < 0.75:
        return ()
    wish, at = chance.choice(tuple(Wish)), chance.uniform(0.0, 3.0)
    if wish is Wish.SERVICE_RENEGOTIATION:
        return ((at, wish), (at + 0.5, None))
    return ((at, wish),)


def demo() -> Scenario:
    """DC_BPT, Dynamic: half a minute of charging at up to 60 kW, then feeding back at 20 kW."""
    plain = basic("DC_BPT", "dynamic", loops=1200)
    return replace(
        plain,
        evse=replace(plain.evse, setpoints=((0.0, 60_000.0), (25.0, -20_000.0))),
        ev=replace(plain.ev, soc=0.55),
    )


def _of(service: EnergyService, dc: Envelope, ac: Envelope) -> Envelope:
    limits = dc if service.is_dc else ac
    return limits if service.bidirectional else replace(limits, discharge=NO_FLOW)
