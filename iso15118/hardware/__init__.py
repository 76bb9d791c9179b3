"""Ready controllers that drive the devices of `hal`: `HalEvse` for a station, `HalEv` for a car.

    station = HalEvse(hardware, HalEvseConfig(), clock)
    ...
    station.command(command)                # what the session commands
    station.tick(now)                       # at `deadline`; carries on what takes time, judges what is measured
    session.receive(Update(station.state()), now)

Open `evse` first. Both decide alone what the hardware may do: `interlock` stands in front of everything that
energises, `supervision` finds what is wrong, `cable_check` and `dc_output` are the sequences that take time,
`evse_rules` and `ev_rules` the tables of what is supervised.

Nothing here waits, reads a clock of its own or knows a message; devices are seen through their protocols alone.
Whatever is in doubt de-energises: a reading that is too old, a device that does not answer, a session that is
silent. A firmware may use these controllers, or ignore them and implement `iso15118.control` itself.
"""

from iso15118.hardware.config import HalEvConfig, HalEvseConfig
from iso15118.hardware.ev import HalEv
from iso15118.hardware.evse import HalEvse

__all__ = ["HalEv", "HalEvConfig", "HalEvse", "HalEvseConfig"]
