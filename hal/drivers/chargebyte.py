"""The safety controller of chargebyte's Charge SOM and Charge Control Y, on a UART at 115200 baud.

    board("serial:///dev/ttyLP2", reset=["gpioset", "-t10ms,0", "nRST_SAFETY=0"])

It gives the devices of an AC station: pilot, contactor, safety chain, thermometers, proximity.

The controller acts by itself: it opens the contactors where the car is not ready, an input trips, a contact is too
hot, the pilot is shorted, or the host is silent. That is its safe state, and only a reset of the controller ends
it: `reset` is the command that pulses its reset line, or a function that does. It is carried out by `reset` of any
of the devices, and by the driver itself where silence was the reason (after a crash, or a cable pulled out).
Without it, the board has to be switched off and on.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hal.drivers import chargebyte_frames as frames
from hal.drivers.board_parts import ToldContactor, ToldPilot, ToldProximity, ToldSafety
from hal.drivers.chargebyte_frames import ChargeState, Firmware
from hal.drivers.dialog import Dialog
from hal.drivers.driver import Driver
from hal.drivers.link import Link
from hal.errors import HalError, Kind
from hal.pilot import STEADY_DUTY
from hal.types import ContactorState, Fault, Quality, Sample, Severity

BEAT_S: Final = 0.1
"""The command is repeated so often: it is the heartbeat."""
ASK_S: Final = 0.3
HOLD_S: Final = 0.15
"""After a silence like this nothing that energises is said, though contactors are opened. A controller that has
restarted reports nothing until it is commanded: the next report proves that it has not."""
RESTART_S: Final = 0.7
"""After this silence it is taken for restarted: nothing is wanted any more. Its own limit is about a second."""
SILENCE_S: Final = 1.5
RESET_S: Final = 2.0
"""It is not reset again before this time has passed."""

Reset = Sequence[str] | Callable[[], None]


class ControllerDialog(Dialog):
    """Identify, command, listen: in both directions everything is said ten times a second."""

    def __init__(self, name: str, reset: Reset | None = None, contactors: Sequence[int] = (1,)) -> None:
        super().__init__(name)
        self.firmware: Firmware | None = None
        self._reset = reset
        self._resetting: subprocess.Popen[bytes] | None = None
        self._decoder = frames.Decoder()
        self._safe_reset_at = -math.inf
        self.pilot = ControllerPilot(f"pilot of {name}", self)
        self.contactor = ControllerContactor(f"contactor of {name}", self, contactors)
        self.safety = ControllerSafety(f"safety chain of {name}", self)
        self.thermometers = ControllerThermometers(f"thermometers of {name}", self)
        self.proximity = ControllerProximity(f"proximity of {name}", self)
        self._begin(-math.inf)

    def devices(self) -> dict[str, Any]:
        """Role -> device."""
        roles = ("pilot", "contactor", "safety", "thermometers", "proximity")
        return {role: getattr(self, role) for role in roles}

    # --- the dialog -----------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self.firmware = None
        self._word: int | None = None
        self._held = False
        self._beat_at = self._ask_at = now
        self._heard_at = self._state_at = now

    def _start(self, now: float) -> None:
        self._decoder = frames.Decoder()
        self._begin(now)

    def _hear(self, data: bytes, now: float) -> None:
        for identifier, word in self._decoder.feed(data):
            if identifier == frames.FIRMWARE:
                self._identified(Firmware.parse(word))
            elif identifier == frames.CHARGE_STATE and self.firmware is not None:
                self._heard_at = self._state_at = now
                self._take(ChargeState.parse(word), now)
            elif identifier == frames.TEMPERATURES and self.firmware is not None:
                self._state_at = now
                self.thermometers.take(frames.temperatures(word), now)

    def _identified(self, firmware: Firmware) -> None:
        if firmware.platform not in frames.BOARDS:
            self._refuse(f"a controller of unknown kind {firmware.platform:02X}", "Check the port")
        elif firmware.application != frames.CHARGING_FIRMWARE:
            self._refuse(
                f"its firmware {firmware.version} is not made for charging (kind {firmware.application})",
                "Flash the charging firmware",
            )
        else:
            self.firmware = firmware
            self._look_after_reset()

    def _take(self, state: ChargeState, now: float) -> None:
        if state.safe:
            for part in self.parts:
                part.forget()
            if state.reason == frames.COMMUNICATION_TIMEOUT and self.reset_controller(now):
                return
        if state.safe or self.ready or state.duty == STEADY_DUTY:
            self._met()
        self._tell(state, now)

    def _tell(self, state: ChargeState, now: float) -> None:
        faults = {"pilot_short": state.shorted, "diode_fault": state.diode_fault}
        self.pilot.take_faults([code for code, on in faults.items() if on])
        self.pilot.take(state.state, now)
        self.pilot.told_duty = state.duty
        self.contactor.take_report(state, now)
        self.safety.take_report(state)
        self.proximity.take(state.ampacity_a)

    def _work(self, now: float) -> None:
        if self.refusal is not None:
            return
        if now >= self._heard_at + SILENCE_S:
            self._lose(f"the controller has been silent for {SILENCE_S} s")
            self._heard_at = now
        if now >= self._state_at + RESTART_S:
            for part in self.parts:
                part.forget()
        if self.firmware is None and now >= self._ask_at:
            self._ask_at = now + ASK_S
            self._send(frames.inquiry(frames.FIRMWARE))
        if self.firmware is not None:
            self._beat(now)

    def _beat(self, now: float) -> None:
        word = frames.charge_control(self.pilot.duty, self.contactor.closing(now))
        opens = bool((self._word or 0) & frames.CONTACTORS) and not word & frames.CONTACTORS
        doubtful = now >= self._state_at + HOLD_S
        self._held = doubtful and word not in _SAFE_WORDS and not opens
        if self._held or (word == self._word and now < self._beat_at):
            return
        self._word, self._beat_at = word, now + BEAT_S
        self._send(frames.encode(frames.CHARGE_CONTROL, word))

    @property
    def _due(self) -> float:
        if self.refusal is not None:
            return math.inf
        silence = min(self._heard_at + SILENCE_S, self._forget_at)
        if self.firmware is None:
            return min(silence, self._ask_at)
        return silence if self._held else min(silence, self._beat_at)

    @property
    def _forget_at(self) -> float:
        """When it is taken for restarted; inf where nothing is wanted of it."""
        idle = self.pilot.duty == STEADY_DUTY and not self.contactor.wanted
        return math.inf if idle else self._state_at + RESTART_S

    # --- what the devices ask of it -------------------------------------------------------------

    def reset_controller(self, now: float) -> bool:
        """Pulse the reset line and identify anew; False where there is no way to, or it was done just now."""
        if self._reset is None or now < self._safe_reset_at + RESET_S:
            return False
        self._safe_reset_at = now
        for part in self.parts:
            part.forget()
        self.ready = False
        self._begin(now)
        self._ask_at = now + ASK_S
        try:
            if callable(self._reset):
                self._reset()
            else:
                self._resetting = subprocess.Popen(self._reset, stdin=subprocess.DEVNULL)  # noqa: S603
        except (OSError, HalError) as error:
            self._reset_failed(str(error))
        return True

    def _look_after_reset(self) -> None:
        """Has the command done its work?"""
        code = self._resetting.poll() if self._resetting is not None else None
        if code is not None:
            self._resetting = None
            if code:
                self._reset_failed(f"the command ended with {code}")

    def _reset_failed(self, why: str) -> None:
        self.safety.blame(Fault("reset_failed", Severity.STOP, latched=True, detail=why))

    def test_residual_current(self) -> None:
        """Let the residual-current monitor test itself."""
        self._send(frames.inquiry(frames.ACTION, frames.RCM_SELF_TEST))
        self.line.flush()


_SAFE_WORDS: Final = (frames.charge_control(STEADY_DUTY), frames.charge_control(0.0))


class _Part(Driver):
    """A device of the board: a reset is one of the controller where it is in its safe state."""

    _dialog: ControllerDialog

    def reset(self) -> None:
        """Clear latched faults whose cause is gone; ends the safe state by a reset of the controller."""
        super().reset()
        if self._dialog.ready and self._dialog.safety.safe:
            self._dialog.reset_controller(self._now)


class ControllerPilot(_Part, ToldPilot):
    """`EvsePilot`; duty cycles in steps of 0.1 %."""

    told_duty = math.nan
    """What the controller signals (%)."""

    @property
    def settled(self) -> bool:
        """Whether the controller signals what is wanted, or cannot."""
        return self._dialog.safety.safe or abs(self.told_duty - self.duty) < 0.06

    def unknown(self) -> None:
        """The state is not known."""
        super().unknown()
        self.told_duty = math.nan


class ControllerContactor(_Part, ToldContactor):
    """`Contactor`: the `channels` (of 1 to 3) act as one; UNKNOWN while they disagree or one is not wired."""

    def __init__(self, name: str, board: ControllerDialog, channels: Sequence[int]) -> None:
        super().__init__(name, board)
        self._channels = tuple(channels)
        if not self._channels or not set(self._channels) <= {1, 2, 3}:
            raise HalError(
                name, Kind.CONFIGURATION, f"contactors {channels}", next_step="Use some of 1, 2, 3"
            )

    def closing(self, now: float) -> tuple[int, ...]:
        """The channels that are to be closed now."""
        return self._channels if self.leased(now) else ()

    def take_report(self, report: ChargeState, now: float) -> None:
        """The controller reports."""
        told = {report.contactors.get(channel) for channel in self._channels}
        closed, opened = told == {True}, told == {False}
        position = ContactorState.OPEN if opened else ContactorState.UNKNOWN
        ready = report.state is not None and report.state.ready
        self.take(ContactorState.CLOSED if closed else position, now, may_close=ready)
        if report.safe:
            self.blame(Fault("safe_state", Severity.EMERGENCY, latched=True, detail=report.reason))
        else:
            self.clear("safe_state")

    def _persists(self, code: str) -> bool:
        return code == "safe_state" or super()._persists(code)


class ControllerSafety(_Part, ToldSafety):
    """`SafetyChain`: emergency stop, residual current, temperature and all else in `chargebyte_frames.REASONS`."""

    safe = False
    """Whether the controller is in its safe state."""

    def test_residual_current(self) -> None:
        """Let the residual-current monitor test itself; an error shows in `tripped`."""
        self._require_open()
        self._dialog.test_residual_current()

    def take_report(self, report: ChargeState) -> None:
        """The controller reports."""
        self.safe = report.safe
        tripped = {report.reason} if report.safe else set()
        tripped |= {"emergency_stop"} if report.emergency else set()
        self.take(tripped | ({"residual_current"} if report.residual_error else set()))


class ControllerThermometers(_Part, Driver):
    """`Thermometers`: the PT1000 channels in use, named "1" to "4" unless `places` says otherwise."""

    def __init__(self, name: str, board: ControllerDialog) -> None:
        super().__init__(name, board)
        self.places: Mapping[int, str] = {}
        self._temperatures: dict[str, Sample] = {}
        self._told: dict[int, frames.Temperature] = {}

    @property
    def temperatures(self) -> Mapping[str, Sample]:
        """By place."""
        return self._temperatures

    def take(self, told: Mapping[int, frames.Temperature], now: float) -> None:
        """The controller reports."""
        self._news = self._news or told != self._told
        self._told = dict(told)
        for channel, value in told.items():
            place = self.places.get(channel, str(channel))
            quality = Quality.INVALID if value.failed else Quality.GOOD
            self._temperatures[place] = Sample(value.celsius, now, quality)
        for code, on, severity in (
            ("thermometer_failed", any(value.failed for value in told.values()), Severity.STOP),
            ("over_temperature", any(value.stopped for value in told.values()), Severity.STOP),
        ):
            self.blame(Fault(code, severity)) if on else self.clear(code)


class ControllerProximity(_Part, ToldProximity):
    """`Proximity` of a type 2 socket; None for type 1, whose plug has no coding."""


def board(
    url: str, *, reset: Reset | None = None, contactors: Sequence[int] = (1,), places: Sequence[str] = ()
) -> dict[str, Any]:
    """All devices of the controller at `url` (see `ports`), role -> device.

    `contactors`: the channels (1 to 3) that act as the contactor. `places`: names of the thermometers from
    channel 1 on. `reset`: see above.
    """
    dialog = ControllerDialog(f"chargebyte@{url}", reset, contactors)
    dialog.thermometers.places = dict(enumerate(places, start=1))
    Link(url, dialog)
    return dialog.devices()
