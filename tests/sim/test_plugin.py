"""The fixture as others use it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from iso15118.sim.pytest_plugin import V2G


@pytest.fixture
def v2g() -> V2G:
    """The plugin's own fixture also exists where the package is installed; here it is not needed."""
    return V2G()


def test_a_session_with_a_late_contactor(v2g: V2G) -> None:
    run = v2g.session(energy="DC_BPT", control="dynamic", seed=4711, faults=[v2g.late_contactor(0.8)])
    assert run.ok, run.explain()
    assert run.completed


def test_a_rude_ev(v2g: V2G) -> None:
    from iso15118.messages.iso20.common import ServiceDiscoveryReq, ServiceDiscoveryRes

    async def rude(ev) -> None:
        from iso15118.evcc.iso20.setup import negotiate, set_up

        await negotiate(ev)
        await set_up(ev)
        answer = await ev.ask(ServiceDiscoveryReq(header=ev.header), ServiceDiscoveryRes, accept_failure=True)
        assert answer.response_code == "FAILED_SequenceError"

    run = v2g.run(ev=rude)
    assert run.ok, run.explain()
    assert run.ends["SECC"].reason.value == "refused"


def test_unknown_faults_are_told(v2g: V2G) -> None:
    with pytest.raises(AttributeError, match="late_contactor"):
        v2g.early_contactor(1)
    assert "late_contactor" in dir(v2g)


def test_loading_the_plugin_costs_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import iso15118.sim.pytest_plugin;"
        "print(sorted(m for m in set(sys.modules) - before if m.startswith(('iso15118', 'asyncio'))))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['iso15118', 'iso15118.sim', 'iso15118.sim.pytest_plugin']"
