"""Our station and our vehicle against EcoG's `iso15118`, in every mode both sides have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import ecog  # noqa: E402

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def possible() -> None:
    if reason := ecog.missing():
        pytest.skip(reason)


@pytest.mark.usefixtures("possible")
@pytest.mark.parametrize("case", [*ecog.CASES, *ecog.SECURE_CASES], ids=lambda case: case.name)
def test_a_session_with_ecog(case: ecog.Case, tmp_path: Path) -> None:
    """From SupportedAppProtocol to SessionStop on both timelines, one JVM start included; secure where it is to be."""
    command = [
        sys.executable,
        str(HERE / "matrix.py"),
        "--json",
        "--keep",
        str(tmp_path),
        "--case",
        case.name,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    row = json.loads(done.stdout)
    assert row["case"] == case.name
    assert row["ok"], f"{row['faults']}\nlogs in {tmp_path}\n{done.stderr[-2000:]}"


def test_every_mode_is_tried_in_both_roles() -> None:
    assert len(ecog.CASES) == len({case.name for case in ecog.CASES}) == 16


def test_tls_and_contracts_are_tried_in_both_roles() -> None:
    tried = {(case.ours, case.pnc) for case in ecog.SECURE_CASES}
    assert tried == {(ours, pnc) for ours in ("station", "vehicle") for pnc in (False, True)}
    assert all(case.tls for case in ecog.SECURE_CASES)
