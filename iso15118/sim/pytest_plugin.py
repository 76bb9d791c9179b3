"""The pytest fixture `v2g`: charging sessions for the tests of whoever builds chargers or cars.

    def test_survives_a_late_contactor(v2g):
        run = v2g.session(energy="DC_BPT", control="dynamic", seed=4711, faults=[v2g.late_contactor(2.5)])
        assert run.ok, run.explain()

    def test_rude_ev(v2g):
        async def rude(ev):
            ...
        assert v2g.run(ev=rude).ok

    def test_goes_on_after_the_link_broke(v2g):
        assert v2g.plug_in("DC", seed=7, mishaps="link_breaks(at=14, seconds=2)").completed

Loading the plugin imports nothing of the stack; the first use of the fixture does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from iso15118.sim.faults import Fault
    from iso15118.sim.plugged import PlugRun
    from iso15118.sim.run import Run, Script


class V2G:
    """What the fixture gives: `session`, `run`, `plug_in`, and a constructor for each fault of `iso15118.sim.faults`.

    `v2g.late_contactor(2.5)`, `v2g.unplug(at=8)`, `v2g.tcp_stall(at=6, seconds=1)` ...; `v2g.faults` lists them.
    """

    def session(self, energy: str = "DC", control: str = "dynamic", seed: int = 0, **options: Any) -> Run:
        """A session under virtual time; the options are those of `iso15118.sim.run.simulate`."""
        from iso15118.sim.run import simulate

        return simulate(energy, control, seed, **options)

    def run(
        self, ev: Script, *, energy: str = "DC", control: str = "dynamic", seed: int = 0, **options: Any
    ) -> Run:
        """A session in which the coroutine `ev` plays the car against the regular station."""
        from iso15118.sim.run import simulate

        return simulate(energy, control, seed, script=ev, **options)

    def plug_in(self, energy: str = "DC", control: str = "dynamic", seed: int = 0, **options: Any) -> PlugRun:
        """The whole way from plug to unplug; the options are those of `iso15118.sim.plugged.plug_in`."""
        from iso15118.sim.plugged import plug_in

        return plug_in(energy, control, seed, **options)

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of all faults and attacks."""
        from iso15118.sim.attacks import ATTACKS
        from iso15118.sim.faults import KINDS

        return tuple(sorted({*KINDS, *ATTACKS}))

    def __getattr__(self, name: str) -> Callable[..., Fault]:
        """The constructor of the fault or attack called `name`."""
        from iso15118.sim.attacks import ATTACKS, attack
        from iso15118.sim.faults import fault

        if name not in self.faults:
            raise AttributeError(f"no fault is called {name!r}; there are {', '.join(self.faults)}")
        make = attack if name in ATTACKS else fault
        return lambda *values, **named: make(name, *values, **named)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.faults})


@pytest.fixture
def v2g() -> V2G:
    """Simulated charging sessions: `v2g.session(...)`, `v2g.run(ev=script)`, `v2g.late_contactor(2.5)` ..."""
    return V2G()
