"""The whole stack in the lab: SLAC over raw frames through virtual modems, SDP, a session, virtual power."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from iso15118.runtime import lab

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent


@pytest.mark.runtime
@pytest.mark.skipif(bool(lab.problem()), reason=f"no private network here: {lab.problem()}")
@pytest.mark.parametrize("energy", ["DC", "AC"])
def test_from_plug_to_unplug_over_raw_frames(energy: str) -> None:
    command = [sys.executable, "-m", "iso15118.cli", "lab", "--", sys.executable, "whole_stack.py", energy]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=55, check=False, cwd=HERE, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["ends"] == {"SECC": "completed", "EVCC": "completed"}
    assert result["peer"] == "02:00:00:00:e5:e0"
    assert result["violations"] == []
    assert result["wh"] >= 3.0
    assert result["driving_over"]
    assert result["link"][-1] == "closed"
