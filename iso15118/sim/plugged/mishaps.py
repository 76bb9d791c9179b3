"""What may happen between plugging in and pulling out, as data: on the powerline, on TCP, to the hardware, to people.

Written and drawn like the faults of sessions (`iso15118.sim.faults`); times are in virtual seconds since plug-in.
Each fault switch of the virtual hardware is a mishap of its own, with side and role where it has several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hal.virtual.faults import FAULTS, FaultSwitch
from iso15118.control.common import Wish
from iso15118.sim.faults import Fault, Kind, Kinds, Parameter
from iso15118.sim.powerline.config import EVSE_MODEM
from iso15118.sim.powerline.medium import Port
from iso15118.sim.powerline.rogue import RogueEvse
from iso15118.slac.evse import EvseSlac

if TYPE_CHECKING:
    from iso15118.sim.plugged.world import PluggedWorld

ROGUE_MAC: Final = bytes.fromhex("0200000bad00")
NEIGHBOUR_MAC: Final = bytes.fromhex("02000000e5e1")
AWAKE_S: Final = 1.0
"""How long a station says that there is energy again: a change of level, no lasting one."""
HARDWARE_AT: Final = Parameter("at", 20.0, 0.1, 30.0)


def _at(low: float = 0.1, high: float = 30.0) -> Parameter:
    return Parameter("at", 10.0, low, high)


def _rate(default: float, high: float) -> Parameter:
    return Parameter("rate", default, 0.01, high)


_SIDE: Final = Parameter("side", "EVSE", choices=("EVSE", "EV"))

_MISHAPS: Final = {
    "link_loss": Kind("link", "this share of all frames is lost", (_rate(0.05, 0.2),)),
    "link_corrupts": Kind("link", "this share of all frames is damaged", (_rate(0.05, 0.2),)),
    "link_repeats": Kind("link", "this share of all frames comes twice", (_rate(0.2, 0.5),)),
    "link_reorders": Kind("link", "this share of all frames is overtaken", (_rate(0.2, 0.5),)),
    "link_jitter": Kind("link", "frames are late", (Parameter("seconds", 0.02, 0.001, 0.06),)),
    "link_breaks": Kind(
        "link", "the modems do not hear each other for a while", (_at(), Parameter("seconds", 5.0, 0.1, 30.0))
    ),
    "modem_restarts": Kind(
        "link", "a modem is without power for a while", (_at(), Parameter("seconds", 1.0, 0.1, 20.0), _SIDE)
    ),
    "slow_join": Kind(
        "link", "the modems need long to find each other", (Parameter("seconds", 8.0, 1.0, 14.0),)
    ),
    "profiles_lost": Kind("link", "the EVSE's modem misses sounds", (_rate(0.3, 1.0),)),
    "neighbour": Kind("link", "another EVSE is in earshot", (Parameter("farther_db", 8.0, 3.0, 30.0),)),
    "rogue": Kind("link", "an EVSE that is none answers everybody and claims to be near"),
    "tcp_delay": Kind("tcp", "every write arrives later", (Parameter("seconds", 0.05, 0.005, 0.1),)),
    "tcp_chunks": Kind("tcp", "writes arrive in odd pieces", (Parameter("octets", 7, 1, 20),)),
    "tcp_reset": Kind("tcp", "the connection is gone for both sides", (_at(2.0),)),
    "computer_stops": Kind("computer", "one side's computer stops, without a word", (_at(), _SIDE)),
    "station_pauses": Kind(
        "operator",
        "there is no energy for a while",
        (Parameter("at", 6.0, 2.0, 16.0), Parameter("seconds", 10.0, 0.5, 40.0)),
    ),
    "unplug": Kind("person", "the connector is pulled, by force if it is locked", (_at(),)),
    "replug": Kind("person", "pulled, and plugged in again", (_at(), Parameter("seconds", 2.0, 0.5, 10.0))),
}


def _hardware(switch: FaultSwitch) -> Kind:
    sides = tuple(side.upper() for side in switch.sides)
    parameters = [HARDWARE_AT]
    if len(sides) > 1:
        parameters.append(Parameter("side", sides[0], choices=sides))
    if switch.roles:
        roles = tuple(role.upper() for role in switch.roles)
        parameters.append(Parameter("role", roles[0], choices=roles))
    return Kind("hardware", switch.does, tuple(parameters), switch.energies)


MISHAPS: Final[Kinds] = MappingProxyType(
    _MISHAPS | {name: _hardware(switch) for name, switch in FAULTS.items()}
)
"""Every mishap by name."""


def befall(world: PluggedWorld, mishap: Fault) -> None:
    """Let `mishap` happen to `world`, from now on or at its time."""
    act = ACTS.get(mishap.name, _break)
    if any(name == "at" for name, _ in mishap.values):
        world.later(max(0.0, mishap.number("at")), act, world, mishap)
    else:
        act(world, mishap)


# --- powerline ----------------------------------------------------------------------------------


def _impair(**shares: str) -> Callable[[PluggedWorld, Fault], None]:
    """Set these impairments on both ports, in both directions, to a parameter of the mishap."""

    def act(world: PluggedWorld, mishap: Fault) -> None:
        changes = {name: mishap.number(parameter) for name, parameter in shares.items()}
        for port in (world.evse_port, world.ev_port):
            port.outgoing = replace(port.outgoing, **changes)
            port.incoming = replace(port.incoming, **changes)

    return act


def _link_breaks(world: PluggedWorld, mishap: Fault) -> None:
    one, other = world.evse_port, world.ev_port
    world.medium.cut(one, other)
    world.later(mishap.number("seconds"), world.medium.mend, one, other)


def _port(world: PluggedWorld, mishap: Fault) -> Port:
    return world.evse_port if mishap.text("side") == "EVSE" else world.ev_port


def _modem_restarts(world: PluggedWorld, mishap: Fault) -> None:
    port = _port(world, mishap)
    world.medium.unplug(port)
    world.later(mishap.number("seconds"), lambda: world.medium.plug(port, world.now))


def _slow_join(world: PluggedWorld, mishap: Fault) -> None:
    seconds = mishap.number("seconds")
    for port in (world.evse_port, world.ev_port):
        port.modem.config = replace(port.modem.config, join_s=(seconds, seconds))


def _profiles_lost(world: PluggedWorld, mishap: Fault) -> None:
    modem = world.evse_port.modem
    modem.config = replace(modem.config, profile_loss=mishap.number("rate"))


def _neighbour(world: PluggedWorld, mishap: Fault) -> None:
    """Its own outlet has a car plugged in as well: it answers whoever asks."""
    port = world.medium.attach(NEIGHBOUR_MAC, EVSE_MODEM)
    world.medium.attenuate(world.ev_port, port, world.cable_db + mishap.number("farther_db"))
    world.add_host(
        port, EvseSlac(NEIGHBOUR_MAC, world.secc_config.slac, world.entropy("neighbour")), matching=True
    )


def _rogue(world: PluggedWorld, mishap: Fault) -> None:  # noqa: ARG001
    port = world.medium.attach(ROGUE_MAC, EVSE_MODEM)
    world.add_host(port, RogueEvse(ROGUE_MAC, world.entropy("rogue")))


# --- TCP ----------------------------------------------------------------------------------------


def _tcp_delay(world: PluggedWorld, mishap: Fault) -> None:
    world.tcp_delay_s += mishap.number("seconds")


def _tcp_chunks(world: PluggedWorld, mishap: Fault) -> None:
    world.tcp_chunk = max(1, int(mishap.number("octets")))


def _tcp_reset(world: PluggedWorld, mishap: Fault) -> None:  # noqa: ARG001
    world.reset_connection()


# --- computers, people, hardware ----------------------------------------------------------------


def _computer_stops(world: PluggedWorld, mishap: Fault) -> None:
    world.stop_computer("SECC" if mishap.text("side") == "EVSE" else "EVCC")
    world.broken.append(mishap)


def _station_pauses(world: PluggedWorld, mishap: Fault) -> None:
    world.hal_evse.wish = Wish.PAUSE
    world.later(mishap.number("seconds"), _station_goes_on, world)


def _station_goes_on(world: PluggedWorld) -> None:
    world.hal_evse.wish, world.hal_evse.wake = None, True
    world.later(AWAKE_S, setattr, world.hal_evse, "wake", False)


def _unplug(world: PluggedWorld, mishap: Fault) -> None:  # noqa: ARG001
    world.unplug()


def _replug(world: PluggedWorld, mishap: Fault) -> None:
    world.unplug()
    world.replugging = True
    world.later(mishap.number("seconds"), world.plug)


def _break(world: PluggedWorld, mishap: Fault) -> None:
    """A fault switch of the hardware; one that this bench does not have breaks nothing."""
    values: dict[str, Any] = dict(mishap.values)
    side, role = values.get("side"), values.get("role")
    try:
        world.bench.inject(mishap.name, side=side and side.lower(), role=role and role.lower())
    except ValueError:
        return
    world.broken.append(mishap)


ACTS: Final = MappingProxyType(
    {
        "link_loss": _impair(loss="rate"),
        "link_corrupts": _impair(corrupt="rate"),
        "link_repeats": _impair(duplicate="rate"),
        "link_reorders": _impair(reorder="rate"),
        "link_jitter": _impair(jitter_s="seconds"),
        "link_breaks": _link_breaks,
        "modem_restarts": _modem_restarts,
        "slow_join": _slow_join,
        "profiles_lost": _profiles_lost,
        "neighbour": _neighbour,
        "rogue": _rogue,
        "tcp_delay": _tcp_delay,
        "tcp_chunks": _tcp_chunks,
        "tcp_reset": _tcp_reset,
        "computer_stops": _computer_stops,
        "station_pauses": _station_pauses,
        "unplug": _unplug,
        "replug": _replug,
    }
)
"""How each mishap happens; all others are switches of the hardware."""
