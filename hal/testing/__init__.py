"""One behaviour suite per device protocol, for virtual devices and for drivers with their emulator alike.

A test hands a `Rig` (a device under virtual time, with the truth behind it) to each of `behaviours(protocol)`:

    @pytest.mark.parametrize("behaviour", behaviours(Contactor), ids=str)
    def test_contactor(behaviour):
        behaviour(make_rig())

A behaviour that fails raises AssertionError and says what was expected. `rig` says what a test has to provide;
`wire` makes it of a driver and the emulator of its device (`emulators`), on a line as bad as `noise` says. What a
device cannot do at all is left out by name: `behaviours(Contactor, without={"weld"})`.
"""

from hal.testing.common import Behaviour
from hal.testing.rig import Rig
from hal.testing.suites import behaviours

__all__ = ["Behaviour", "Rig", "behaviours"]
