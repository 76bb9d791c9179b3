"""Linux's PWM, ADC and GPIO as a driver uses them: the kernel's rules, a real directory, the package gpiod."""

from __future__ import annotations

import asyncio
import enum
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hal.drivers.linux_board import board
from hal.drivers.linux_io import Adc, Files, GpiodLines, Pwm
from hal.errors import HalError, Kind
from hal.testing.emulators.linux_board import LinuxBoard

PILOT = {
    "pwm": {"chip": "pwmchip0"},
    "high": {"device": "adc", "channel": 0},
    "low": {"device": "adc", "channel": 1},
}


def fake_gpiod(log: list[Any], *, missing: str = "") -> Any:
    """What the package offers, as far as it is used; no kernel with simulated lines is needed."""
    value = enum.Enum("Value", "INACTIVE ACTIVE")
    direction = enum.Enum("Direction", "INPUT OUTPUT")

    class Request:
        def set_value(self, name: str, to: Any) -> None:
            log.append((name, to is value.ACTIVE))

        def get_value(self, name: str) -> Any:
            return value.ACTIVE

        def release(self) -> None:
            log.append("released")

    def request_lines(path: str, consumer: str, config: dict[str, Any]) -> Request:
        if missing in config:
            raise ValueError(f"no line named {missing}")
        log.append({name: (s["direction"].name, s["active_low"]) for name, s in config.items()})
        return Request()

    return SimpleNamespace(
        line=SimpleNamespace(Value=value, Direction=direction),
        LineSettings=lambda **settings: settings,
        request_lines=request_lines,
    )


# --- the kernel's files ---------------------------------------------------------------------------


@pytest.mark.parametrize("inverted", [False, True])
def test_pwm_keeps_the_kernels_order(inverted: bool) -> None:
    """Also where somebody else has left it running with another period and polarity."""
    hardware = LinuxBoard()
    files = hardware.files
    files.write("sys/class/pwm/pwmchip0/export", "0")
    for name, text in (("period", "20000"), ("duty_cycle", "20000"), ("enable", "1")):
        files.write(f"sys/class/pwm/pwmchip0/pwm0/{name}", text)
    for _ in range(2):
        Pwm(files, "pwmchip0", inverted=inverted).open(5.0)
        assert hardware.wire.duty == pytest.approx(95.0 if inverted else 5.0)
        assert files.read("sys/class/pwm/pwmchip0/pwm0/duty_cycle") == "50000"


def tree(root: Path) -> None:
    """A board's files in a real directory; the PWM is exported already."""
    pwm, adc_dir = root / "sys/class/pwm/pwmchip0/pwm0", root / "sys/bus/iio/devices/iio:device0"
    for directory, content in (
        (pwm, {"period": "0", "duty_cycle": "0", "polarity": "normal", "enable": "0"}),
        (
            adc_dir,
            {"name": "adc", "in_voltage0_raw": "2048", "in_voltage0_scale": "0.5", "in_temp_raw": "40"},
        ),
    ):
        directory.mkdir(parents=True)
        for name, text in content.items():
            (directory / name).write_text(text + "\n")
    (adc_dir / "in_temp_offset").write_text("10\n")
    (adc_dir / "in_temp_scale").write_text("500\n")


def test_a_real_directory(tmp_path: Path) -> None:
    tree(tmp_path)
    files = Files(tmp_path)
    pwm = Pwm(files, "pwmchip0")
    pwm.open(100.0)
    pwm.set_duty(5.0)
    directory = tmp_path / "sys/class/pwm/pwmchip0/pwm0"
    assert {name: (directory / name).read_text().strip() for name in ("period", "duty_cycle", "enable")} == {
        "period": "1000000",
        "duty_cycle": "50000",
        "enable": "1",
    }
    volts, celsius = Adc(files, device="adc", channel=0, gain=2.0), Adc(files, device="adc", channel="temp")
    volts.open()
    celsius.open()
    assert volts.read() == pytest.approx(2048 * 0.5 / 1000 * 2)
    assert celsius.read() == pytest.approx((40 + 10) * 500 / 1000)


@pytest.mark.parametrize(
    ("opening", "text"),
    [
        (lambda files: Pwm(files, "pwmchip3").open(5.0), r"no such PWM\. Found: pwmchip0"),
        (lambda files: Adc(files, device="ads7950", channel=0).open(), "no such converter .*Found: adc"),
        (lambda files: Adc(files, device="adc", channel=7).open(), "no channel .*in_voltage7_raw"),
    ],
)
def test_what_the_kernel_does_not_have(tmp_path: Path, opening: Any, text: str) -> None:
    tree(tmp_path)
    with pytest.raises(HalError, match=text) as caught:
        opening(Files(tmp_path))
    assert caught.value.kind is Kind.NOT_CONNECTED


def test_a_board_on_a_machine_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real files, the event loop, and no PWM: opening says what is missing."""
    monkeypatch.setitem(sys.modules, "gpiod", fake_gpiod([]))
    devices = board(root=str(tmp_path), pilot=PILOT)

    async def run() -> None:
        await devices["pilot"].open()

    with pytest.raises(HalError, match=r"no such PWM\. Found: none") as caught:
        asyncio.run(run())
    assert caught.value.kind is Kind.NOT_CONNECTED


def test_a_board_by_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path)
    monkeypatch.setitem(sys.modules, "gpiod", fake_gpiod([]))
    devices = board(root=str(tmp_path), thermometers={"board": {"device": "adc", "channel": "temp"}})

    async def run() -> None:
        thermometers = devices["thermometers"]
        await thermometers.open()
        assert thermometers.temperatures["board"].value == 25.0
        (tmp_path / "sys/bus/iio/devices/iio:device0/in_temp_raw").unlink()
        async with asyncio.timeout(5):
            while not thermometers.faults:  # noqa: ASYNC110 - a test looks, it is not told
                await asyncio.sleep(0.01)
        await thermometers.close()

    asyncio.run(run())


# --- GPIO -----------------------------------------------------------------------------------------


def test_lines_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []
    monkeypatch.setitem(sys.modules, "gpiod", fake_gpiod(log))
    lines = GpiodLines("/dev/gpiochip0")
    with pytest.raises(OSError, match="not open"):
        lines.set("COIL", True)
    for _ in range(2):
        lines.open(("COIL",), ("!STOP",))
    lines.set("COIL", True)
    assert lines.get("!STOP") is True
    lines.close()
    lines.close()
    assert log == [{"COIL": ("OUTPUT", False), "STOP": ("INPUT", True)}, ("COIL", True), "released"]


def test_lines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", fake_gpiod([], missing="COIL"))
    with pytest.raises(HalError, match="Compare with gpioinfo") as caught:
        GpiodLines("/dev/gpiochip0").open(("COIL",), ())
    assert caught.value.kind is Kind.NOT_CONNECTED


def test_the_real_package_agrees() -> None:
    """The names used of it exist; a chip that is none is an error that says so."""
    pytest.importorskip("gpiod", reason="gpiod is not installed (extra linux-io)")
    with pytest.raises(HalError, match="no lines COIL"):
        GpiodLines("/dev/null").open(("COIL",), ("STOP",))


def test_without_gpiod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(HalError, match=r"iso15118-stack\[linux-io\]") as caught:
        GpiodLines("/dev/gpiochip0").open(("COIL",), ())
    assert caught.value.kind is Kind.MISSING_EXTRA
