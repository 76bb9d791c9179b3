"""What Linux offers a board without a controller of its own: PWM and ADC as files, GPIO lines by name.

`Files` is the tree they are found in; another `root`, or another object with the same methods, makes it testable.
GPIO needs the extra `linux-io` (gpiod, version 2). All calls return at once or raise OSError; what is missing or
wrong from the start is a HalError that says what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from hal.errors import HalError, Kind
from hal.registry import extra

PWM_CLASS: Final = "sys/class/pwm"
IIO_DEVICES: Final = "sys/bus/iio/devices"
PILOT_PERIOD_NS: Final = 1_000_000
"""1 kHz (IEC 61851-1)."""
CONSUMER: Final = "iso15118"
"""Who holds the lines, as `gpioinfo` tells."""


class Files:
    """The kernel's files below `root`; paths are relative to it."""

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)

    def read(self, path: str) -> str:
        """The content, stripped."""
        return (self.root / path).read_text(encoding="ascii").strip()

    def write(self, path: str, text: str) -> None:
        """Replace the content."""
        (self.root / path).write_text(text, encoding="ascii")

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return (self.root / path).exists()

    def names(self, path: str) -> list[str]:
        """What is in a directory; empty where there is none."""
        directory = self.root / path
        return sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []


class Lines(Protocol):
    """GPIO lines of a board, by name; True is active."""

    def open(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        """Take the lines, outputs inactive. HalError or OSError where that is not possible. Idempotent."""

    def set(self, name: str, active: bool) -> None:
        """Drive an output."""

    def get(self, name: str) -> bool:
        """Read an input."""

    def close(self) -> None:
        """Let go of the lines. Idempotent."""


class GpiodLines:
    """Lines of one chip, such as "/dev/gpiochip0"; a name with "!" in front is active when low."""

    def __init__(self, chip: str) -> None:
        self._chip = chip
        self._request: Any = None
        self._values: Any = None

    def open(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        """Take the lines."""
        if self._request is not None:
            return
        gpiod = extra(self._chip, "gpiod", "linux-io")
        line = gpiod.line
        settings = {
            name.lstrip("!"): gpiod.LineSettings(
                direction=line.Direction.OUTPUT if name in outputs else line.Direction.INPUT,
                active_low=name.startswith("!"),
                output_value=line.Value.INACTIVE,
            )
            for name in (*outputs, *inputs)
        }
        try:
            self._request = gpiod.request_lines(self._chip, consumer=CONSUMER, config=settings)
        except (OSError, ValueError) as error:
            raise HalError(
                self._chip,
                Kind.NOT_CONNECTED,
                f"no lines {', '.join(settings)}: {error}",
                next_step="Compare with gpioinfo: the lines need these names, and nobody else may hold them",
            ) from error
        self._values = line.Value

    def set(self, name: str, active: bool) -> None:
        """Drive an output."""
        request = self._taken()
        request.set_value(name.lstrip("!"), self._values.ACTIVE if active else self._values.INACTIVE)

    def get(self, name: str) -> bool:
        """Read an input."""
        return bool(self._taken().get_value(name.lstrip("!")) is self._values.ACTIVE)

    def _taken(self) -> Any:
        if self._request is None:
            raise OSError(f"the lines of {self._chip} are not open")
        return self._request

    def close(self) -> None:
        """Let go of the lines."""
        request, self._request = self._request, None
        if request is not None:
            request.release()


class Pwm:
    """One PWM channel as pilot oscillator; `chip` is a directory of /sys/class/pwm such as "pwmchip0"."""

    def __init__(self, files: Files, chip: str, channel: int = 0, *, inverted: bool = False) -> None:
        self._files, self._inverted = files, inverted
        self._chip, self._channel = f"{PWM_CLASS}/{chip}", channel
        self._pwm = f"{self._chip}/pwm{channel}"

    def open(self, percent: float) -> None:
        """Export the channel if need be, and let it run with this duty cycle."""
        if not self._files.exists(self._chip):
            found = ", ".join(self._files.names(PWM_CLASS)) or "none"
            raise HalError(
                f"/{self._chip}",
                Kind.NOT_CONNECTED,
                "no such PWM",
                next_step=f"Found: {found}. Enable it in the device tree (and the kernel option CONFIG_PWM_SYSFS)",
            )
        if not self._files.exists(self._pwm):
            self._files.write(f"{self._chip}/export", str(self._channel))
        self._set("polarity", "inversed" if self._inverted else "normal", needs_rest=True)
        if self._files.read(f"{self._pwm}/period") != str(PILOT_PERIOD_NS):
            self._files.write(f"{self._pwm}/duty_cycle", "0")  # never longer than the period
            self._files.write(f"{self._pwm}/period", str(PILOT_PERIOD_NS))
        self.set_duty(percent)
        self._set("enable", "1")

    def set_duty(self, percent: float) -> None:
        """0.0 is steadily low, 100.0 steadily high."""
        self._files.write(f"{self._pwm}/duty_cycle", str(round(percent / 100.0 * PILOT_PERIOD_NS)))

    def _set(self, name: str, text: str, *, needs_rest: bool = False) -> None:
        path = f"{self._pwm}/{name}"
        if self._files.read(path) == text:
            return
        if needs_rest:
            self._files.write(f"{self._pwm}/enable", "0")
        self._files.write(path, text)


class Adc:
    """One channel of an IIO device, found by the name in its file `name`: volts, or degrees Celsius.

    `channel` is a number for `in_voltageN_raw`, or the stem of another channel such as "temp" or "temp0".
    `gain` and `offset_v` lead from the converter's input to the place that is meant: V = input * gain + offset_v.
    """

    def __init__(
        self,
        files: Files,
        *,
        device: str,
        channel: int | str,
        gain: float = 1.0,
        offset_v: float = 0.0,
    ) -> None:
        self._files, self._device = files, device
        self._stem = f"in_voltage{channel}" if isinstance(channel, int) else f"in_{channel}"
        self._gain, self._offset_v = gain, offset_v
        self._directory = ""
        self._scale, self._raw_offset = 0.0, 0.0

    def open(self) -> None:
        """Find the device and how it counts."""
        files, devices = self._files, {}
        for entry in files.names(IIO_DEVICES):
            if files.exists(f"{IIO_DEVICES}/{entry}/name"):
                devices[files.read(f"{IIO_DEVICES}/{entry}/name")] = f"{IIO_DEVICES}/{entry}"
        if self._device not in devices:
            raise HalError(
                self._device,
                Kind.NOT_CONNECTED,
                f"no such converter below /{IIO_DEVICES}",
                next_step=f"Found: {', '.join(devices) or 'none'}. Check its driver and the device tree",
            )
        self._directory = devices[self._device]
        raw = f"{self._directory}/{self._stem}_raw"
        if not files.exists(raw):
            raise HalError(
                self._device, Kind.NOT_CONNECTED, f"no channel /{raw}", next_step="Check the channel's number"
            )
        self._scale = self._shared("scale", 1.0)
        self._raw_offset = self._shared("offset", 0.0)

    def read(self) -> float:
        """The value now (V or degrees Celsius)."""
        raw = float(self._files.read(f"{self._directory}/{self._stem}_raw"))
        return (raw + self._raw_offset) * self._scale / 1000.0 * self._gain + self._offset_v

    def _shared(self, name: str, default: float) -> float:
        """An attribute of the channel, or of all of its kind."""
        kind = self._stem.rstrip("0123456789")
        for stem in (self._stem, kind):
            path = f"{self._directory}/{stem}_{name}"
            if self._files.exists(path):
                return float(self._files.read(path))
        return default
