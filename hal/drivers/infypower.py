"""InfyPower DC modules on CAN as one supply: version 1.13 and the bidirectional BEG1K075G (extra `can`).

    supply("can://can0", modules=[0, 1, 2])           modules by their numbers
    supply("can://can0", group=1)                     all modules of a group
    supply("can://can0", model="beg1k075g")

The current is split equally among as many modules as each can do with: a module regulates from 1 A on, and what is
asked is never exceeded. A module that hears nothing for 10 s switches off by itself; it is asked several times a
second, also while it does not answer, so that a loss noticed earlier cannot lead to a loop of restarts.
The BEG reports the current it takes out of the EV as positive, and changes direction only with its output off.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final

from hal.drivers.dialog import MISSES, RESEND_S, RETRIES, Polls, Request, RequestDialog
from hal.drivers.driver import LeasedDriver
from hal.drivers.infy_frames import (
    COUNT,
    ERRORS,
    EVERYBODY,
    FAMILIES,
    FAULTS,
    GROUP,
    STARTING,
    Family,
    Identifier,
    Status,
    group_size,
    to_controller,
    to_module,
)
from hal.drivers.link import Link
from hal.errors import HalError, Kind
from hal.power import DcRatings
from hal.types import LEASE_S, NOTHING, Fault, Sample, Severity

MIN_CURRENT_A: Final = 1.0
"""Of one module."""
MORE_MODULES_A: Final = 1.5
"""A further module is switched on only when each has at least so much, so that they do not come and go."""
TIMEOUT_S: Final = 0.1
"""A module answers within some 20 ms."""
PATIENT_RETRIES: Final = 5
"""While the modules are identified: one failure begins it anew."""
BITRATE: Final = 125_000
SWITCHED_OFF: Final = Fault("switched_off", Severity.STOP, detail="a module has switched itself off")
REFUSED: Final = "command_refused"

Order = tuple[str, float, float]
"""What a module is told: "off", "mode" (1.0 for inverter) or "run" with V and A."""
OFF: Final[Order] = ("off", 0.0, 0.0)


class Module:
    """One module, as far as known."""

    def __init__(self, number: int, family: Family) -> None:
        self.number, self.family = number, family
        self.known: dict[str, Any] = {}
        self.at: dict[str, float] = {}
        self.polls = Polls(**family.polls)
        self.told: Order | None = None
        self.told_at = -math.inf
        self.missed = 0
        self.obeyed = False
        """Whether it was seen on since it was told to run."""

    @property
    def on(self) -> bool | None:
        """Whether its output is on; None while unknown."""
        status: Status | None = self.known.get("status")
        return None if status is None else status.on

    def confirmed(self, order: Order) -> bool:
        """Whether it has been told this, and has said since that it does so."""
        heard_since = self.at.get("status", -math.inf) > self.told_at
        return self.told == order and heard_since and self.on is (order[0] == "run")

    def forget(self) -> None:
        """It is not heard; what it is rated for stays."""
        for name in ("status", "voltage_v", "current_a", "inverting"):
            self.known.pop(name, None)
        self.told, self.told_at, self.missed, self.obeyed = None, -math.inf, 0, False

    def tell(self, order: Order, now: float) -> bytes:
        """Records of what it is to do from now on.

        A module that has been on is not switched on again: what switched it off was not us.
        """
        if self.told is None or order[0] != self.told[0]:
            self.obeyed = False
            self.polls.hasten("status")
        self.told, self.told_at = order, now
        return b"".join(to_module(self.number, *command).pack() for command in self._commands(order))

    def _commands(self, order: Order) -> Iterable[tuple[int, bytes]]:
        name, volts, amps = order
        family = self.family
        if name == "off":
            yield family.switch, family.off
        elif name == "mode":
            assert family.inverter is not None
            self.polls.hasten("direction")
            yield family.switch, family.inverter[int(volts)]
        else:
            yield from family.set(volts, amps)
            if not self.obeyed:
                yield family.switch, family.on


class InfyDialog(RequestDialog):
    """Asks the modules in turn, and tells them what the supply on it wants.

    Commands are not confirmed by an answer but by the status that is read next, and said again each second.
    """

    def __init__(self, name: str, family: Family, modules: Sequence[int], group: int | None) -> None:
        super().__init__(name, gap_s=family.gap_s)
        self.family, self.group = family, group
        self.modules = [Module(number, family) for number in modules]
        self.supply: InfySupply | None = None
        self._told_last = False

    def _hear(self, data: bytes, now: float) -> None:
        ours = bytearray()
        for sender, frame in to_controller(data):
            ours += frame.pack()
            if self.supply is not None and sender.command in self.family.writes:
                self.supply.answered(sender)
        super()._hear(bytes(ours), now)

    # --- until it is ready ----------------------------------------------------------------------

    def _identify(self, step: int) -> Request | None:
        if self.group is not None:
            if step == 0:
                question = to_module(self.group, COUNT, b"", GROUP).pack()
                return Request(question, group_size, self._found, timeout_s=TIMEOUT_S)
            step -= 1
        each = ("", *self.family.ratings, *self.family.ratings, "status")
        number, part = divmod(step, len(each))
        if number == len(self.modules):
            return None
        module, name = self.modules[number], each[part]
        if not name:
            return Request(module.tell(OFF, self.line.now))
        return self._question(module, name, self._safe if name == "status" else self._rated)

    def _found(self, count: int, now: float) -> None:
        known = {module.number: module for module in self.modules}
        self.modules = [known.get(number) or Module(number, self.family) for number in range(count)]

    def _rated(self, answer: tuple[Module, dict[str, Any]], now: float) -> None:
        """What is read once and holds for long has to be the same twice."""
        module, news = answer
        if any(module.known.get(name, value) != value for name, value in news.items()):
            for name in news:
                module.known.pop(name, None)
            self._step = 0
        else:
            self._heard(answer, now)

    def _safe(self, answer: tuple[Module, dict[str, Any]], now: float) -> None:
        """The last of what a module is asked first: it has to be off."""
        self._heard(answer, now)
        if answer[0].on:
            self._step = 0

    # --- from then on ---------------------------------------------------------------------------

    def _next(self, now: float) -> Request | None:
        """Switching off comes first; other orders and questions take turns, so that neither waits for ever."""
        stale = [m for m in self.modules if self._order(m) != m.told or now >= m.told_at + RESEND_S]
        due = [m for m in self.modules if m.polls.due_at <= now]
        module = min(stale, key=lambda m: (self._order(m) != OFF, m.told_at), default=None)
        if module is not None and (self._order(module) == OFF or not self._told_last or not due):
            self._told_last = True
            return Request(module.tell(self._order(module), now))
        if not due:
            return None
        self._told_last = False
        module = min(due, key=lambda m: m.polls.due_at)
        name = module.polls.due(now)
        assert name is not None
        module.polls.asked(name, now)
        return self._question(module, name, self._heard)

    @property
    def obeyed(self) -> bool:
        """Whether every module has said that it does what is wanted."""
        return all(module.confirmed(self._order(module)) for module in self.modules)

    def _order(self, module: Module) -> Order:
        wanted = self.supply.share_of(module) if self.supply is not None else None
        if wanted is None:
            return OFF
        volts, amps = wanted
        taking = amps < 0
        if self.family.inverter is not None and module.known.get("inverting") is not taking:
            return OFF if module.on is not False else ("mode", float(taking), 0.0)
        return ("run", volts, abs(amps))

    @property
    def _idle_until(self) -> float:
        return min((min(m.polls.due_at, m.told_at + RESEND_S) for m in self.modules), default=math.inf)

    def _question(self, module: Module, name: str, done: Any) -> Request:
        item = self.family.items[name]

        def parse(records: bytes) -> tuple[Module, dict[str, Any]] | None:
            answer = item.answer(module.number, records)
            return None if answer is None else (module, _plausible(answer, module))

        failed = partial(self._missed_by, module)
        retries = RETRIES if self.ready else PATIENT_RETRIES
        return Request(item.question(module.number), parse, done, failed, TIMEOUT_S, retries)

    def _heard(self, answer: tuple[Module, dict[str, Any]], now: float) -> None:
        module, news = answer
        module.missed = 0
        for name, value in news.items():
            if self.supply is not None and name == "status":
                self.supply.look(module, value)
            module.known[name], module.at[name] = value, now
        if self.supply is not None and self.ready:
            self.supply.evaluate()

    def _missed_by(self, module: Module, reason: str, now: float) -> None:
        """One silent module among several is as bad as all: nobody knows what it does."""
        module.missed += 1
        if self.ready and module.missed >= MISSES:
            self._lose(f"module {module.number}: {reason}")
            self._step = 0


def _plausible(news: dict[str, Any], module: Module) -> dict[str, Any]:
    """ValueError for voltages and currents no module can have."""
    most_v, most_a = module.known.get("max_v", math.inf), module.known.get("max_a", math.inf)
    volts, amps = news.get("voltage_v", 0.0), news.get("current_a", 0.0)
    if not (-50.0 <= volts <= 1.3 * most_v + 50.0 and abs(amps) <= 1.5 * most_a + 10.0):
        raise ValueError(f"{volts:g} V, {amps:g} A")
    return news


class InfySupply(LeasedDriver):
    """All modules of an `InfyDialog` as one DC supply. A module that switches itself off ends the lease."""

    def __init__(self, name: str, dialog: InfyDialog) -> None:
        super().__init__(name, dialog)
        self._infy = dialog
        dialog.supply = self
        self._wanted = (0.0, 0.0)
        self._used = 0
        self._seen: dict[int, frozenset[str]] = {}
        self._on = True
        self._voltage = self._current = NOTHING

    @property
    def ratings(self) -> DcRatings:
        """Of all modules together; all zero before they are known."""
        modules = [m.known for m in self._infy.modules if "max_v" in m.known and "max_w" in m.known]
        if not modules:
            return DcRatings(0.0, 0.0, 0.0)
        amps, watts = sum(m["max_a"] for m in modules), sum(m["max_w"] for m in modules)
        both = self._infy.family.inverter is not None
        return DcRatings(
            max_voltage_v=min(m["max_v"] for m in modules),
            max_current_a=amps,
            max_power_w=watts,
            min_voltage_v=max(m["min_v"] for m in modules),
            min_current_a=MIN_CURRENT_A,
            import_max_current_a=amps if both else 0.0,
            import_max_power_w=watts if both else 0.0,
        )

    @property
    def on(self) -> bool:
        """Whether a module's output is on as far as known."""
        return self._on

    @property
    def voltage(self) -> Sample:
        """At the output: the highest of the modules'."""
        return self._voltage

    @property
    def current(self) -> Sample:
        """Of all modules, + into the EV."""
        return self._current

    def drive(self, voltage_v: float, current_a: float, *, lease_s: float = LEASE_S) -> None:
        """Switch on with these set-points; below the least current of a module it stays off."""
        self._require_open()
        ratings = self.ratings
        least_v, most_v = ratings.min_voltage_v, ratings.max_voltage_v
        if not least_v <= voltage_v <= most_v:
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"{voltage_v} V, rated for {least_v:g} to {most_v:g} V"
            )
        least_a, most_a = 0.0 - ratings.import_max_current_a, ratings.max_current_a
        if not least_a <= current_a <= most_a:
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"{current_a} A, rated for {least_a:g} to {most_a:g} A"
            )
        self.check_lease(lease_s)
        self.clear(SWITCHED_OFF.code)
        self._wanted = (voltage_v, current_a)
        self._used = modules_for(abs(current_a), len(self._infy.modules), self._used)
        self._energise(lease_s)

    def off(self) -> None:
        """Stop converting, now."""
        self._release()

    # --- the dialog's part ----------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether every module has said that it does what is wanted."""
        return self._infy.obeyed

    def forget(self) -> None:
        """Want nothing any more."""
        super().forget()
        self._wanted, self._used = (0.0, 0.0), 0

    def unknown(self) -> None:
        """The modules are not heard: the output may be on."""
        self._set("_on", True)
        for module in self._infy.modules:
            module.forget()
        self._seen.clear()
        for _, _, fault in FAULTS:
            self.clear(fault.code)

    def share_of(self, module: Module) -> tuple[float, float] | None:
        """What this module is to do (V, A); None for nothing."""
        volts, amps = self._wanted
        if not self.leased(self._now) or module not in self._infy.modules[: self._used]:
            return None
        return volts, amps / self._used

    def answered(self, sender: Identifier) -> None:
        """A module answers to a command: refused it is a fault, but it is the status that counts."""
        if sender.source not in [module.number for module in self._infy.modules]:
            return
        if sender.error in (0, STARTING):
            self.clear(REFUSED)
        else:
            why = ERRORS.get(sender.error, f"error {sender.error}")
            self.blame(Fault(REFUSED, Severity.WARNING, detail=f"module {sender.source}: {why}"))

    def look(self, module: Module, status: Status) -> None:
        """A module tells how it is; what it says twice in a row counts."""
        before = module.known.get("status")
        if before is None:
            return
        if module.told is not None and module.told[0] == "run" and before.on is status.on:
            if module.obeyed and not status.on:
                self.forget()
                self.blame(SWITCHED_OFF)
            module.obeyed = module.obeyed or status.on
        self._seen[module.number] = before.faults & status.faults
        absent = {code for code in before.faults | status.faults if code not in self._seen[module.number]}
        self._show(frozenset().union(*self._seen.values()), undecided=absent)

    def _show(self, standing: Collection[str], undecided: Collection[str]) -> None:
        for _, _, fault in FAULTS:
            if fault.code in standing:
                self.blame(fault)
            elif fault.code not in undecided:
                self.clear(fault.code)

    def evaluate(self) -> None:
        """Something was read: work out the levels."""
        modules = self._infy.modules
        self._set("_on", any(module.on is not False for module in modules))
        if all("voltage_v" in m.known for m in modules):
            at = min(m.at["voltage_v"] for m in modules)
            self._set("_voltage", Sample(max(m.known["voltage_v"] for m in modules), at))
        if all("current_a" in m.known for m in modules):
            at = min(m.at["current_a"] for m in modules)
            self._set("_current", Sample(sum(_signed(m) for m in modules), at))


def _signed(module: Module) -> float:
    """The current of a module, + into the EV."""
    amps: float = module.known["current_a"]
    return -amps if module.known.get("inverting") else amps


def modules_for(current_a: float, count: int, used: int) -> int:
    """How many of `count` modules share this current; `used` is how many did until now."""
    most = min(int(current_a / MIN_CURRENT_A), count)
    if most == 0:
        return 0
    enough = max(1, min(int(current_a / MORE_MODULES_A), count))
    return min(most, max(used, enough))


def supply(
    url: str,
    *,
    model: str = "v1.13",
    modules: Sequence[int] = (0,),
    group: int | None = None,
    name: str = "",
) -> InfySupply:
    """A supply of the modules with these numbers (0 to 62), or of all in a `group`, on the bus `url`.

    HalError(CONFIGURATION) for an unknown model or an impossible number.
    """
    name = name or f"infypower@{url}"
    if model not in FAMILIES:
        raise HalError(
            name, Kind.CONFIGURATION, f"no model {model!r}", next_step=f"Known: {', '.join(FAMILIES)}"
        )
    if len(set(modules)) != len(modules) or not modules or not all(0 <= m < EVERYBODY for m in modules):
        raise HalError(
            name,
            Kind.CONFIGURATION,
            f"modules {list(modules)}",
            next_step="Use distinct numbers from 0 to 62",
        )
    dialog = InfyDialog(name, FAMILIES[model], modules, group)
    device = InfySupply(name, dialog)
    Link(url, dialog, bitrate=BITRATE)
    return device
