"""The driver of the guide keeps the promises it is shown to keep, and does not without what the guide insists on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from hal.errors import HalError
from hal.safety import Contactor
from hal.testing import Behaviour, behaviours

PATH = Path(__file__).parents[2] / "examples" / "06_write_a_driver.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("written_driver", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = load()


@pytest.mark.parametrize("behaviour", behaviours(Contactor), ids=str)
@pytest.mark.parametrize("line", EXAMPLE.LINES)
def test_promises(line: str, behaviour: Behaviour) -> None:
    behaviour(EXAMPLE.rig(load().LINES[line]))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("_next", lambda self, now: None),
        ("_idle_until", float("inf")),
        ("status", lambda self, answer, now: None),
    ],
)
def test_the_suite_finds_what_is_left_out(name: str, broken: Any) -> None:
    example = load()
    setattr(example.RelayBox, name, broken)
    suite = {str(behaviour): behaviour for behaviour in behaviours(Contactor)}
    with pytest.raises(AssertionError):
        suite["feedback_follows"](example.rig(example.LINES["clean"]))


def test_another_device_is_refused() -> None:
    example = load()
    box = example.EmulatedBox()
    box.answer = lambda word: box._send(example.line("RB9"))
    dialog = example.RelayBox("box")
    wire = example.Wire(dialog, box)
    with pytest.raises(HalError, match="RB9"):
        wire.carry_out(dialog.contactor.open())
