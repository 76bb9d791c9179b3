"""DC sources and sinks that speak SCPI over TCP or a serial line, one table (`scpi_profiles`) per family.

    supply = registry.make("ea-psb", url="tcp://192.168.0.7:5025", max_power_w=20_000)

SCPI has neither checksums nor numbered answers, so that an answer that comes too late would pass for the next one.
Therefore every command and every question is followed by one for the error queue, whose answer looks different
from all others: what was heard counts only when that has come in its turn (ratings: when heard twice); and after an
answer that did not come, nothing is asked until it cannot come any more. A set-point that is refused there (the
device ignores it in silence otherwise) switches the output off.

"Off" does not wait its turn: it is sent at once, whatever is being asked, and then said again until the device has
confirmed it. Without a watchdog (EA) a device whose line is cut goes on with its last set-points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hal.drivers.dialog import PAUSE_S, RESEND_S, RETRIES, Polls, Request, RequestDialog
from hal.drivers.driver import LeasedDriver
from hal.drivers.link import Link
from hal.drivers.scpi_lines import (
    figure,
    parse_error,
    parse_line,
    parse_number,
    parse_watchdog,
    parse_word,
)
from hal.drivers.scpi_profiles import DELTA_SM15K, EA_PSB, EA_PSI, Profile
from hal.errors import HalError, Kind
from hal.power import DcRatings
from hal.types import LEASE_S, NOTHING, Fault, Sample, Severity

WATCHDOG_MS: Final = 2000
ON_S: Final = 1.0
"""After switching on, the device may still say "off" for so long."""
TIMEOUT_S: Final = 0.3
DRAIN_S: Final = 0.4
"""After an answer that did not come, for so long it may still come and is not taken for another one."""
PATIENT_RETRIES: Final = 5
"""On the way to a device that is known, where one failure means to begin anew."""
BEYOND: Final = 1.25
"""A measured value beyond this multiple of the rating was not measured."""

REFUSED: Final = "set_point_refused"
SWITCHED_OFF: Final = "switched_itself_off"


Apply = Callable[[Any, float], None]
"""(what was answered, when)."""
Refused = Callable[[str, float], None]
"""(why, when)."""


class ScpiDialog(RequestDialog):
    """What is said to one supply."""

    def __init__(self, name: str, profile: Profile, limits: DcRatings) -> None:
        super().__init__(name)
        self.profile, self._limits = profile, limits
        self.identity = ""
        """What it says it is."""
        self.ratings = DcRatings(0.0, 0.0, 0.0)
        self.off_said = self.on_said = self.released = False
        self.supply = ScpiSupply(name, self)
        self._on_at = self._drained_at = -math.inf
        self._told: dict[str, tuple[float, float]] = {}  # setting -> (value, when)
        self._polls = Polls(**profile.polls())
        self._plan: list[Callable[[], Request]] = []
        self._unproven: tuple[Apply, Any, float] | None = None
        self._found: dict[str, float] = {}

    # --- exchanges ------------------------------------------------------------------------------

    def _say(self, command: str, done: Callable[[float], None], refused: Refused | None = None) -> Request:
        """A command, and whether the device minds: `refused` then, or everything from the beginning."""
        said = partial(self._said, command, done, refused)
        return self._request(f"{command}\n{self.profile.error}\n", parse_error, said)

    def _find_out(self, query: str, parse: Callable[[str], Any], apply: Apply) -> Request:
        """A question whose answer is checked otherwise."""
        return self._request(f"{query}\n", parse, lambda answer, now: apply(answer[0], now))

    def _query(self, query: str, parse: Callable[[str], Any], apply: Apply) -> Request:
        """A question; `apply(answer, when)` once the device has said that it does not mind."""
        return self._request(f"{query}\n", parse, partial(self._heard, apply))

    def _request(
        self,
        text: str,
        parse: Callable[[str], Any],
        done: Callable[[tuple[Any], float], None],
    ) -> Request:
        def of(data: bytes) -> Any:
            line = parse_line(data)
            return None if line is None else (parse(line),)

        retries = RETRIES if self.ready else PATIENT_RETRIES
        return Request(text.encode(), of, done, self._failed, timeout_s=TIMEOUT_S, retries=retries)

    def _heard(self, apply: Apply, answer: tuple[Any], now: float) -> None:
        self._unproven = (apply, answer[0], now)

    def _prove(self) -> Request:
        said = partial(self._said, "a question", self._proven, None)
        return self._request(f"{self.profile.error}\n", parse_error, said)

    def _proven(self, now: float) -> None:
        if self._unproven is not None:
            (apply, answer, at), self._unproven = self._unproven, None
            apply(answer, at)

    def _failed(self, reason: str, now: float) -> None:
        self._unproven = None

    def _said(
        self,
        command: str,
        done: Callable[[float], None],
        refused: Refused | None,
        errors: tuple[str],
        now: float,
    ) -> None:
        if not errors[0]:
            done(now)
            return
        self._unproven = None
        reason = f"it answers {command} by {errors[0]}"
        (refused or self._begin_anew)(reason, now)

    def _begin_anew(self, reason: str, now: float) -> None:
        """It is not in the state it was brought to: nothing is wanted, and everything is said again."""
        self._lose(reason)
        self._step, self._unproven, self._until = 0, None, now + RESEND_S

    def _hear(self, data: bytes, now: float) -> None:
        # What comes after a failure belongs to it: let it pass, but not for ever, in case the device babbles.
        if not self._waiting and now < self._drained_at:
            self._until = max(self._until, now + PAUSE_S)
        super()._hear(data, now)

    def _try_again(self, reason: str, now: float) -> None:
        late = now >= self._until
        super()._try_again(reason, now)
        if late:
            self._until = max(self._until, now + DRAIN_S)
        self._drained_at = now + 2 * DRAIN_S

    def shout_off(self, now: float) -> None:
        """Say "off" now, whatever is being asked; what is answered to that is not waited for any more."""
        self._send(f"{self.profile.off}\n".encode())
        self.off_said = self.on_said = False
        self._asked = self._unproven = None
        self._waiting, self._until = False, now + PAUSE_S

    # --- the way to a supply that is known and off ----------------------------------------------

    def _identify(self, step: int) -> Request | None:
        if step == 0:
            self._plan = self._steps()
            self._told.clear()
            self._found.clear()
            self.off_said = self.on_said = self.released = False
        return self._plan.pop(0)() if self._plan else None

    def _steps(self) -> list[Callable[[], Request]]:
        profile = self.profile
        steps: list[Callable[[], Request]] = [
            partial(self._find_out, "*IDN?", str.strip, self._hear_identity),
            partial(self._say, "*CLS", self._nothing),
            *(partial(self._say, command, self._nothing) for command in profile.take),
        ]
        if profile.owner:
            steps.append(partial(self._find_out, profile.owner, self._parse_owner, self._hear_owner))
        steps.append(partial(self._say, profile.off, self._off_was_said))
        # Twice: what it is rated for is relied on, and nothing else would show that it was heard wrong.
        steps += [partial(self._ask_rating, *rating) for rating in profile.ratings * 2]
        steps += [partial(self._set_to, key) for key in profile.settings if key != "volts"]
        if profile.watchdog:
            steps.append(partial(self._say, profile.watchdog.format(WATCHDOG_MS), self._nothing))
        return steps

    def _nothing(self, now: float) -> None:
        """What is done about a command that was heard."""

    def _hear_identity(self, identity: str, now: float) -> None:
        self.identity = identity

    def _parse_owner(self, text: str) -> str:
        return parse_word(self.profile.owners, text)

    def _hear_owner(self, owner: str, now: float) -> None:
        if owner != self.profile.owners[0]:
            self._begin_anew(f"remote control is {owner}, not {self.profile.owners[0]}", now)

    def _ask_rating(self, key: str, query: str, unit: str) -> Request:
        parse = partial(parse_number, unit=unit, most=math.inf)
        return self._find_out(query, parse, partial(self._find, key))

    def _find(self, key: str, value: float, now: float) -> None:
        heard_before = key in self._found
        if abs(value) != self._found.setdefault(key, abs(value)):
            self._begin_anew(f"it is rated for {value:g} and for {self._found[key]:g} ({key})", now)
        elif heard_before and key == self.profile.ratings[-1][0]:
            self.ratings = self.profile.ratings_from(self._found, self._limits)

    def _set_to(self, key: str) -> Request:
        """Power limits as rated, currents 0."""
        ratings = self.ratings
        value = {"power": ratings.max_power_w, "sink_power": ratings.import_max_power_w}.get(key, 0.0)
        return self._set(key, value)

    # --- a supply that is ready -----------------------------------------------------------------

    def _next(self, now: float) -> Request | None:
        if self._unproven is not None:
            return self._prove()
        if self.released:
            return None
        request = self._energise(now) if self.supply.leased(now) else self._rest()
        return request or self._poll(now)

    def _rest(self) -> Request | None:
        if not self.off_said:
            return self._say(self.profile.off, self._off_was_said)
        if self.supply.leaving and self.profile.release and not self.supply.on:
            return self._say(self.profile.release, self._was_released)
        return None

    def _off_was_said(self, now: float) -> None:
        self.off_said = True
        self._polls.hasten("state")

    def _was_released(self, now: float) -> None:
        self.released = True

    def _energise(self, now: float) -> Request | None:
        unsaid = self._unsaid(now)
        if unsaid is not None:
            return self._set(*unsaid)
        if self.on_said:
            return None
        self.supply.hear_output(True)
        self.off_said = False
        return self._say(self.profile.on, self._on_was_said, self.supply.refused)

    def _on_was_said(self, now: float) -> None:
        self.on_said, self._on_at = True, now
        self._polls.hasten("state")

    def _unsaid(self, now: float) -> tuple[str, float] | None:
        """The setting to be said next: a current that falls, then the voltage, then a current that rises."""
        news: list[tuple[int, str, float]] = []
        for key, value in self.supply.settings.items():
            told, at = self._told.get(key, (math.inf, -math.inf))
            if value != told:
                news.append((1 if key == "volts" else 0 if value < told else 2, key, value))
            elif now - at >= RESEND_S:
                news.append((3, key, value))
        return min(news)[1:] if news else None

    def _set(self, key: str, value: float) -> Request:
        number, command = figure(value), self.profile.settings[key]
        if number == "0":
            command = command.replace("-{}", "{}")
        refused = self.supply.refused if self.ready else None
        return self._say(command.format(number), partial(self._was_set, key, value), refused)

    def _was_set(self, key: str, value: float, now: float) -> None:
        self._told[key] = (value, now)

    @property
    def _idle_until(self) -> float:
        if self.released:
            return math.inf
        said = min(
            (at for key, (_, at) in self._told.items() if key in self.supply.settings), default=math.inf
        )
        again = said + RESEND_S if self.supply.due < math.inf else math.inf
        return min(self._polls.due_at, again)

    def _poll(self, now: float) -> Request | None:
        due = self._polls.due(now)
        if due is None:
            return None
        self._polls.asked(due, now)
        profile = self.profile
        if due == "state":
            return self._query(profile.state, partial(parse_word, profile.states), self._hear_state)
        if due == "owner":
            return self._query(profile.owner, self._parse_owner, self._hear_owner)
        if due == "watchdog":
            return self._query(profile.watchdog_state, parse_watchdog, self._hear_watchdog)
        query, units = profile.measure[due]
        return self._query(
            query, partial(self._parse_measured, units), partial(self.supply.hear_measured, units)
        )

    def _parse_measured(self, units: str, text: str) -> list[float]:
        most = {unit: BEYOND * self._found[key] for key, _, unit in self.profile.ratings}
        pairs = zip(text.split(","), units, strict=True)
        return [parse_number(part, unit, most[unit]) for part, unit in pairs]

    def _hear_state(self, state: str, at: float) -> None:
        supply, on = self.supply, state == self.profile.states[0]
        supply.hear_output(on)
        if on and not supply.leased(at):
            self.off_said = False
        elif not on and self.on_said and at - self._on_at > ON_S:
            supply.went_off()

    def _hear_watchdog(self, left_ms: int, at: float) -> None:
        if left_ms <= 0:
            self._begin_anew("its watchdog had tripped" if left_ms == 0 else "its watchdog is off", at)


class ScpiSupply(LeasedDriver):
    """The device as a `DcSupply`.

    Faults: "set_point_refused", "switched_itself_off"; both end with the next `drive`.
    """

    def __init__(self, name: str, dialog: ScpiDialog) -> None:
        super().__init__(name, dialog)
        self._scpi = dialog
        self._on = True
        self._voltage = self._current = NOTHING
        self._set_points = (0.0, 0.0)
        self.leaving = False
        """Being closed."""

    # --- the protocol ---------------------------------------------------------------------------

    @property
    def ratings(self) -> DcRatings:
        """What the hardware can do; known after `open`."""
        return self._scpi.ratings

    @property
    def identity(self) -> str:
        """Maker, type, serial number and firmware as the device tells them; known after `open`."""
        return self._scpi.identity

    @property
    def on(self) -> bool:
        """Whether the output is on as far as known."""
        return self._on

    @property
    def voltage(self) -> Sample:
        """At the output (V)."""
        return self._voltage

    @property
    def current(self) -> Sample:
        """Signed (A), + into the EV."""
        return self._current

    def drive(self, voltage_v: float, current_a: float, *, lease_s: float = LEASE_S) -> None:
        """Switch on with these set-points and hold them for `lease_s`. See `DcSupply.drive`."""
        self._check(voltage_v, current_a)
        self.check_lease(lease_s)
        self._set_points = (voltage_v, current_a if abs(current_a) >= self.ratings.min_current_a else 0.0)
        self.clear(REFUSED)
        self.clear(SWITCHED_OFF)
        self._energise(lease_s)

    def off(self) -> None:
        """Switch the output off, now."""
        self._release()

    async def open(self) -> None:
        """Connect, take control, switch off, read the ratings."""
        self.leaving = False
        await super().open()

    async def close(self) -> None:
        """Switch off, give control back, let go."""
        self.leaving = True
        await super().close()

    def _check(self, voltage_v: float, current_a: float) -> None:
        ratings = self.ratings
        if not ratings.min_voltage_v <= voltage_v <= ratings.max_voltage_v:
            least, most, what = ratings.min_voltage_v, ratings.max_voltage_v, f"{voltage_v} V"
        elif not -ratings.import_max_current_a <= current_a <= ratings.max_current_a:
            least, most, what = 0.0 - ratings.import_max_current_a, ratings.max_current_a, f"{current_a} A"
        else:
            return
        self._require_open()
        raise HalError(self._name, Kind.OUT_OF_RANGE, f"{what}, rated for {least:g} to {most:g}")

    # --- the dialog's part ----------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, float]:
        """What is wanted of the hardware while it is on: magnitudes, by the names of a profile."""
        volts, amps = self._set_points
        wanted = {"volts": volts, "source": max(0.0, amps), "sink": max(0.0, -amps)}
        return {key: value for key, value in wanted.items() if key in self._scpi.profile.settings}

    @property
    def settled(self) -> bool:
        """Whether the hardware has confirmed what is wanted of it."""
        dialog = self._scpi
        if self.due < math.inf:
            return dialog.on_said
        let_go = dialog.released or not dialog.profile.release or not self.leaving
        return dialog.off_said and not self._on and let_go

    def forget(self) -> None:
        """Want nothing any more; what was on is told so at once."""
        if self.due < math.inf:
            self._scpi.shout_off(self._now)
        super().forget()

    def unknown(self) -> None:
        """Nobody knows whether it is on."""
        self._set("_on", True)

    def refused(self, reason: str, now: float) -> None:
        """The device does not do what it is told: off."""
        self.forget()
        self.blame(Fault(REFUSED, Severity.STOP, detail=reason))

    def went_off(self) -> None:
        """The device has switched off by itself: an alarm, its front panel, a restart."""
        self.forget()
        self.blame(Fault(SWITCHED_OFF, Severity.STOP, detail="see the alarms at the device"))

    def hear_output(self, on: bool) -> None:
        """The output is, or may be, on."""
        self._set("_on", on)

    def hear_measured(self, units: str, values: list[float], at: float) -> None:
        """Measured values; both families show energy into the device as negative, as everybody here does."""
        for unit, value in zip(units, values, strict=True):
            if unit == "V":
                self._set("_voltage", Sample(value, at))
            elif unit == "A":
                self._set("_current", Sample(value, at))


def supply(
    url: str,
    *,
    profile: Profile,
    name: str = "",
    max_voltage_v: float = math.inf,
    max_current_a: float = math.inf,
    max_power_w: float = math.inf,
    min_current_a: float = 0.0,
) -> ScpiSupply:
    """A supply at the port `url` (see `hal.drivers.ports`); the limits narrow what it is rated for, both ways.

    HalError(CONFIGURATION) for a URL that is none.
    """
    name = name or f"{profile.name}@{url}"
    limits = DcRatings(max_voltage_v, max_current_a, max_power_w, min_current_a=min_current_a)
    dialog = ScpiDialog(name, profile, limits)
    Link(url, dialog)
    return dialog.supply


ea_psb: Final = partial(supply, profile=EA_PSB)
ea_psi: Final = partial(supply, profile=EA_PSI)
delta_sm15k: Final = partial(supply, profile=DELTA_SM15K)
