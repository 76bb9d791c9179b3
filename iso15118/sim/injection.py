"""How each named fault is brought into a world: at once, or at its time."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hal.virtual.circuit import DcPlant
from hal.virtual.plants import Contactor
from iso15118.control.common import CpState
from iso15118.control.evse import ChargingNeeds
from iso15118.energy.offer import EnergyOffer
from iso15118.sim import tampering
from iso15118.sim.attacks import ATTACKS
from iso15118.sim.virtual_evse import Reply

if TYPE_CHECKING:
    from iso15118.sim.faults import Fault
    from iso15118.sim.world import World

WATCHDOG_S: Final = 1.0
"""A station or car whose computer has stopped is de-energised by its own hardware after this time."""


class ControllerFailure(Exception):
    """What a broken virtual controller answers."""


def inject(world: World, fault: Fault) -> None:
    """Bring `fault` into `world`, now or at the time it names; who is not who they seem is in it from the start."""
    if fault.name in ATTACKS and fault.name not in tampering.ACTS:
        return
    act = tampering.ACTS.get(fault.name) or _ACTS[fault.name]
    if any(name == "at" for name, _ in fault.values):
        world.at(fault.number("at"), act, world, fault)
    else:
        act(world, fault)


# --- connection and discovery -----------------------------------------------------------------


def _tcp_delay(world: World, fault: Fault) -> None:
    for stream in world.connection.streams.values():
        stream.delay_s += fault.number("seconds")


def _tcp_jitter(world: World, fault: Fault) -> None:
    for stream in world.connection.streams.values():
        stream.jitter_s = fault.number("seconds")


def _tcp_chunks(world: World, fault: Fault) -> None:
    for stream in world.connection.streams.values():
        stream.chunk = max(1, int(fault.number("octets")))


def _tcp_stall(world: World, fault: Fault) -> None:
    end = world.now + fault.number("seconds")
    for stream in world.connection.streams.values():
        stream.stalled = (world.now, end)


def _tcp_reset(world: World, fault: Fault) -> None:  # noqa: ARG001
    world.reset()


def _half_close(world: World, fault: Fault) -> None:
    world.end_stream(fault.text("side"))


def _peer_vanishes(world: World, fault: Fault) -> None:
    side = fault.text("side")
    world.vanish(side)
    world.at(world.now + WATCHDOG_S, _watchdog, world, side)


def _watchdog(world: World, side: str) -> None:
    if side == "EVCC":
        world.plant.ev_contactor.command(False)
        world.plant.pilot.ready = False
    else:
        world.plant.evse_contactor.command(False)
        if isinstance(world.plant, DcPlant):
            world.plant.supply.off()


def _sdp(attribute: str) -> Callable[[World, Fault], None]:
    def apply(world: World, fault: Fault) -> None:
        setattr(world.datagrams, attribute, fault.number("share"))

    return apply


# --- hardware ---------------------------------------------------------------------------------


def _contactor(world: World, fault: Fault) -> Contactor:
    plant = world.plant
    return plant.evse_contactor if fault.text("side") == "EVSE" else plant.ev_contactor


def _late(world: World, fault: Fault) -> None:
    _contactor(world, fault).late_s = fault.number("seconds")


def _stuck(world: World, fault: Fault) -> None:
    _contactor(world, fault).stuck_open = True


def _welded(world: World, fault: Fault) -> None:
    """The EVSE's contactor closes for the cable check already and stays closed from then on."""
    _contactor(world, fault).welded = True


def _bouncing(world: World, fault: Fault) -> None:
    _contactor(world, fault).bounce_s = fault.number("seconds")


def _isolation(world: World, fault: Fault) -> None:
    world.plant.tester.minus_ohm = fault.number("ohm")


def _wrong_voltage(world: World, fault: Fault) -> None:
    if isinstance(world.plant, DcPlant):
        world.plant.supply.bias_v = fault.number("volts")


def _meter_jump(world: World, fault: Fault) -> None:
    world.plant.meter.jump_wh += fault.number("wh")


def _cp_flap(world: World, fault: Fault) -> None:
    world.plant.pilot.held = CpState.B
    world.at(world.now + fault.number("seconds"), _release_pilot, world)


def _release_pilot(world: World) -> None:
    world.plant.pilot.held = None


def _unplug(world: World, fault: Fault) -> None:  # noqa: ARG001
    """The pilot contact parts before the power contacts do: the stack has to act in time."""
    world.plant.pilot.plugged = False


def _emergency_stop(world: World, fault: Fault) -> None:
    (world.evse.faults if fault.text("side") == "EVSE" else world.ev.faults).emergency_stop = True


def _hardware_fault(world: World, fault: Fault) -> None:
    (world.evse.faults if fault.text("side") == "EVSE" else world.ev.faults).fault = "over-temperature"


# --- controllers and clocks -------------------------------------------------------------------


def _silence(world: World, fault: Fault) -> None:
    world.silence(fault.text("side"), fault.number("seconds"))


def _slow_authorization(world: World, fault: Fault) -> None:
    world.evse.faults.authorize_s = fault.number("seconds")


def _refused_authorization(world: World, fault: Fault) -> None:  # noqa: ARG001
    world.evse.faults.accept = False


def _slow_offer(world: World, fault: Fault) -> None:
    world.evse.faults.offer_s = fault.number("seconds")


def _greedy_offer(world: World, fault: Fault) -> None:
    factor = fault.number("factor")

    def answer(question: Any, reply: Reply) -> Reply:
        if not isinstance(question, ChargingNeeds):
            return reply
        limits = question.limits
        offer = EnergyOffer.flat(
            max_w=limits.charge.max_power_w * factor, discharge_w=limits.discharge.max_power_w * factor
        )
        return Reply(offer, reply.delay_s)

    world.evse.faults.answer = answer


def _answering(value: Any) -> Callable[[World, Fault], None]:
    def apply(world: World, fault: Fault) -> None:
        faults: Any = world.evse.faults if fault.text("side") == "SECC" else world.ev.faults
        faults.answer = lambda _question, reply: Reply(value, reply.delay_s)

    return apply


def _clock_drift(world: World, fault: Fault) -> None:
    world.clocks[fault.text("side")].rate = 1.0 + fault.number("ppm") * 1e-6


def _clock_step(world: World, fault: Fault) -> None:
    world.clocks[fault.text("side")].offset_s += fault.number("seconds")


_ACTS: Final[MappingProxyType[str, Callable[[World, Fault], None]]] = MappingProxyType(
    {
        "tcp_delay": _tcp_delay,
        "tcp_jitter": _tcp_jitter,
        "tcp_chunks": _tcp_chunks,
        "tcp_stall": _tcp_stall,
        "tcp_reset": _tcp_reset,
        "half_close": _half_close,
        "peer_vanishes": _peer_vanishes,
        "sdp_loss": _sdp("loss"),
        "sdp_duplicate": _sdp("duplicate"),
        "sdp_reorder": _sdp("reorder"),
        "sdp_corrupt": _sdp("corrupt"),
        "late_contactor": _late,
        "stuck_contactor": _stuck,
        "welded_contactor": _welded,
        "bouncing_contactor": _bouncing,
        "isolation_fault": _isolation,
        "wrong_voltage": _wrong_voltage,
        "meter_jump": _meter_jump,
        "cp_flap": _cp_flap,
        "unplug": _unplug,
        "emergency_stop": _emergency_stop,
        "hardware_fault": _hardware_fault,
        "controller_silence": _silence,
        "slow_authorization": _slow_authorization,
        "refused_authorization": _refused_authorization,
        "slow_offer": _slow_offer,
        "greedy_offer": _greedy_offer,
        "wrong_answer": _answering("not what was asked for"),
        "failing_answer": _answering(ControllerFailure("the backend is on fire")),
        "clock_drift": _clock_drift,
        "clock_step": _clock_step,
    }
)
