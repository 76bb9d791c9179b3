"""Behaviours of every device, and the leases of those that energise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from hal.errors import HalError, Kind
from hal.testing.rig import Rig
from hal.types import Sample

LOOK_S: Final = 0.02
"""How often a behaviour looks while it waits."""
LONG_LEASE_S: Final = 120.0
"""A lease that no behaviour outlives."""
COMMUNICATION: Final = "communication"
"""Code of the fault every device shows while it does not answer."""
_LEVELS: Final = ("high_v", "duty", "voltage", "current", "power", "resistance", "reading", "status")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing a device must do; call it with a rig."""

    name: str
    check: Callable[[Any], None]
    needs: frozenset[str] = frozenset()

    def __call__(self, rig: Rig) -> None:
        """Try it; AssertionError where the device behaves otherwise."""
        self.check(rig)

    def __str__(self) -> str:
        return self.name


def behaviour(check: Callable[[Rig], None], *needs: str) -> Behaviour:
    """A behaviour named after its function."""
    return Behaviour(check.__name__.strip("_"), check, frozenset(needs))


# --- words the checks are written in ------------------------------------------------------------


Condition = Callable[..., object]
"""A function of the rig and whatever it is asked about; what it returns is taken as yes or no."""


def soon(rig: Rig, condition: Condition, *about: Any, within_s: float | None = None, what: str = "") -> None:
    """Let time pass until `condition(rig, *about)`.

    AssertionError where it takes longer than `within_s`, by default the time in which the rig settles.
    """
    limit_s = rig.settle_s if within_s is None else within_s
    end = rig.now + limit_s
    while not condition(rig, *about):
        assert rig.now < end - 1e-9, f"{what or _words(condition, about)} within {limit_s:g} s"
        rig.run(min(LOOK_S, end - rig.now))


def stays(rig: Rig, for_s: float, condition: Condition, *about: Any, what: str = "") -> None:
    """Let `for_s` pass; AssertionError where `condition(rig, *about)` fails meanwhile."""
    end = rig.now + for_s
    while rig.now < end - 1e-9:
        assert condition(rig, *about), f"{what or _words(condition, about)} for {for_s:g} s"
        rig.run(min(LOOK_S, end - rig.now))


def _words(condition: Condition, about: tuple[Any, ...]) -> str:
    name = getattr(condition, "__name__", str(condition)).strip("_").replace("_", " ")
    return " ".join([name, *(getattr(item, "name", str(item)) for item in about)])


def refuses(action: Callable[[], None], kind: Kind) -> None:
    """AssertionError unless `action` raises a HalError of this kind."""
    try:
        action()
    except HalError as error:
        assert error.kind is kind, f"HalError {kind}, not {error.kind}"  # noqa: PT017
    else:
        raise AssertionError(f"HalError {kind} is raised")


def has_fault(rig: Rig, code: str) -> bool:
    """Whether the device tells of this fault."""
    return any(fault.code == code for fault in rig.device.faults)


def cut_off(rig: Rig) -> bool:
    """Whether the device says that its hardware does not answer."""
    return has_fault(rig, COMMUNICATION)


def connected(rig: Rig) -> bool:
    """Whether the device does not say that."""
    return not cut_off(rig)


def safe(rig: Rig) -> bool:
    """Whether nothing is energised."""
    return rig.safe


def energised(rig: Rig) -> bool:
    """Whether something is."""
    return not rig.safe


def lose_line(rig: Rig) -> None:
    """Cut, and wait until the device says so."""
    rig.cut()
    soon(rig, cut_off, within_s=rig.noticed_s)


def regain_line(rig: Rig) -> None:
    """Restore, and wait until the device says so."""
    rig.restore()
    soon(rig, connected, within_s=rig.reconnect_s)


def times(device: Any) -> Iterator[float]:
    """When each measured level of a device was acquired, those that never were left out."""
    values = [getattr(device, name, None) for name in _LEVELS]
    for name in ("temperatures", "measured"):
        values += getattr(device, name, {}).values()
    for value in values:
        if value is not None and hasattr(value, "at") and value.at > float("-inf"):
            yield value.at


def near(sample: Sample, value: float, tolerance: float, now: float, max_age_s: float = 2.0) -> bool:
    """Whether a sample is fresh and close to `value`."""
    return sample.fresh(now, max_age_s) and abs(sample.value - value) <= tolerance


# --- every device -------------------------------------------------------------------------------


def _starts_safe_and_without_faults(rig: Rig) -> None:
    rig.run(rig.settle_s)
    assert not rig.device.faults, f"no fault after opening, not {rig.device.faults}"
    assert rig.device.name, "a device has a name"
    assert rig.safe, "nothing is energised after opening"


def _opens_twice(rig: Rig) -> None:
    rig.open()
    rig.run(rig.settle_s)
    assert not rig.device.faults
    assert rig.safe


def _closes_twice(rig: Rig) -> None:
    rig.close()
    rig.close()
    rig.run(rig.settle_s)
    assert rig.safe, "nothing is energised after closing"


def _reset_energises_nothing(rig: Rig) -> None:
    rig.device.reset()
    stays(rig, rig.settle_s, safe)
    assert not rig.device.faults


def _tells_of_a_cut(rig: Rig) -> None:
    told: list[float] = []
    rig.device.on_change(lambda: told.append(rig.now))
    cut_at = rig.now
    lose_line(rig)
    assert told, "on_change tells of the fault"
    assert told[-1] >= cut_at
    regain_line(rig)


def _levels_grow_old_without_a_line(rig: Rig) -> None:
    rig.run(rig.settle_s)
    cut_at = rig.now
    lose_line(rig)
    rig.run(2.0)
    had = list(times(rig.device))
    assert all(at <= cut_at + LOOK_S for at in had), "no sample is newer than the cut"
    regain_line(rig)
    back_at = rig.now
    rig.run(rig.settle_s + 2.0)
    fresh = list(times(rig.device))
    assert len(fresh) >= len(had), "all samples are there again"
    assert all(at >= back_at for at in fresh), "and newer than the return of the line"


def _is_safe_after_a_reboot(rig: Rig) -> None:
    rig.reboot()
    rig.run(rig.noticed_s + rig.reconnect_s)
    assert connected(rig), "a reboot is recovered from"
    assert rig.safe


COMMON: Final = (
    behaviour(_starts_safe_and_without_faults),
    behaviour(_opens_twice),
    behaviour(_closes_twice),
    behaviour(_reset_energises_nothing),
    behaviour(_tells_of_a_cut, "cut"),
    behaviour(_levels_grow_old_without_a_line, "cut"),
    behaviour(_is_safe_after_a_reboot, "reboot"),
)


# --- devices that energise ----------------------------------------------------------------------


class Energiser(NamedTuple):
    """How a kind of device is switched on, with a lease, and off."""

    on: Callable[[Any, float], None]
    off: Callable[[Any], None]


def _energise(rig: Rig, kind: Energiser, lease_s: float = LONG_LEASE_S) -> None:
    kind.on(rig.device, lease_s)
    soon(rig, energised)


def _lease_ends(rig: Rig, kind: Energiser) -> None:
    lease_s = rig.settle_s + 1.0
    _energise(rig, kind, lease_s)
    soon(rig, safe, within_s=lease_s + rig.settle_s, what="de-energised at the end of the lease")


def _renewed_lease_holds(rig: Rig, kind: Energiser) -> None:
    lease_s = rig.settle_s + 1.0
    _energise(rig, kind, lease_s)
    for _ in range(int(3 * lease_s / 0.5)):
        kind.on(rig.device, lease_s)
        stays(rig, 0.5, energised)


def _off_is_idempotent(rig: Rig, kind: Energiser) -> None:
    for _ in range(2):
        kind.off(rig.device)
        stays(rig, rig.settle_s, safe)
    _energise(rig, kind)
    for _ in range(2):
        kind.off(rig.device)
        soon(rig, safe)


def _off_overtakes_on(rig: Rig, kind: Energiser) -> None:
    kind.on(rig.device, LONG_LEASE_S)
    kind.off(rig.device)
    rig.run(rig.settle_s)
    stays(rig, rig.settle_s, safe)


def _off_without_a_line_is_made_good(rig: Rig, kind: Energiser) -> None:
    _energise(rig, kind)
    rig.cut()
    kind.off(rig.device)
    rig.run(rig.noticed_s)
    kind.off(rig.device)
    rig.restore()
    rig.run(rig.reconnect_s + rig.settle_s)
    stays(rig, 2.0, safe)


def _hardware_is_off_without_a_line(rig: Rig, kind: Energiser) -> None:
    _energise(rig, kind)
    rig.cut()
    soon(rig, safe, within_s=rig.watchdog_s, what="de-energised by the hardware's own watchdog")


def _return_of_the_line_energises_nothing(rig: Rig, kind: Energiser) -> None:
    _energise(rig, kind)
    lose_line(rig)
    regain_line(rig)
    rig.run(rig.settle_s)
    stays(rig, 2.0, safe)
    _energise(rig, kind)


def _on_without_a_line_is_forgotten(rig: Rig, kind: Energiser) -> None:
    lose_line(rig)
    try:
        kind.on(rig.device, LONG_LEASE_S)
    except HalError as error:
        assert error.kind in (Kind.NOT_CONNECTED, Kind.REFUSED, Kind.TIMEOUT)  # noqa: PT017
    regain_line(rig)
    rig.run(rig.settle_s)
    stays(rig, 2.0, safe)


def _reboot_energises_nothing(rig: Rig, kind: Energiser) -> None:
    _energise(rig, kind)
    rig.reboot()
    rig.run(rig.noticed_s + rig.reconnect_s)
    stays(rig, 2.0, safe)
    _energise(rig, kind)


def _close_de_energises(rig: Rig, kind: Energiser) -> None:
    _energise(rig, kind)
    rig.close()
    soon(rig, safe)


_LEASES: Final = (
    (_lease_ends, ""),
    (_renewed_lease_holds, ""),
    (_off_is_idempotent, ""),
    (_off_overtakes_on, ""),
    (_off_without_a_line_is_made_good, "cut"),
    (_hardware_is_off_without_a_line, "cut watchdog"),
    (_return_of_the_line_energises_nothing, "cut"),
    (_on_without_a_line_is_forgotten, "cut"),
    (_reboot_energises_nothing, "reboot"),
    (_close_de_energises, ""),
)


def leases(on: Callable[[Any, float], None], off: Callable[[Any], None]) -> tuple[Behaviour, ...]:
    """The behaviours of a device that energises, switched `on(device, lease_s)` and `off(device)` by these."""
    kind = Energiser(on, off)
    return tuple(
        Behaviour(check.__name__.strip("_"), partial(check, kind=kind), frozenset(needs.split()))
        for check, needs in _LEASES
    )
