"""Every virtual device keeps what its protocol promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hal.testing import Behaviour, behaviours
from tests.hw.virtual_rigs import DEVICES, VirtualRig


def cases() -> list[Any]:
    return [
        pytest.param(make, behaviour, id=f"{make.args[0]}-{make.args[1]}-{behaviour}")  # type: ignore[attr-defined]
        for protocol, make in DEVICES
        for behaviour in behaviours(protocol)
    ]


@pytest.mark.parametrize(("make", "behaviour"), cases())
def test_device(make: Callable[[], VirtualRig], behaviour: Behaviour) -> None:
    behaviour(make())
