"""Energy of one session out of a meter's registers, which count for ever."""

from __future__ import annotations

from hal.meter import MeterReading as Registers
from iso15118.control.evse import MeterReading


class SessionMeter:
    """Follows the registers; a session begins with the first reading after `begin` (or after `end`).

    `fell` tells that a register went back since then: the energy told stays where it was.
    """

    def __init__(self) -> None:
        self.fell = False
        self._last: Registers | None = None
        self._base: Registers | None = None
        self._charged_wh = self._discharged_wh = 0.0

    def begin(self) -> None:
        """Count from the present reading."""
        self._base = self._last
        self._charged_wh = self._discharged_wh = 0.0
        self.fell = False

    def end(self) -> None:
        """Nobody is there: whoever comes next begins at zero."""
        self.begin()

    def take(self, reading: Registers | None) -> None:
        """Take the registers as they are now; None for a meter that tells nothing."""
        if reading is None:
            return
        before, self._last = self._last, reading
        if self._base is None:
            self._base = reading
        if before is not None and (
            reading.import_wh < before.import_wh or reading.export_wh < before.export_wh
        ):
            self.fell = True
        self._charged_wh = max(self._charged_wh, reading.import_wh - self._base.import_wh)
        self._discharged_wh = max(self._discharged_wh, reading.export_wh - self._base.export_wh)

    def since_begin(self) -> MeterReading | None:
        """For the session; None before the first reading."""
        last = self._last
        if last is None:
            return None
        return MeterReading(
            meter_id=last.meter_id,
            charged_wh=self._charged_wh,
            discharged_wh=self._discharged_wh,
            signature=last.signature,
            status=last.status,
            taken_at=last.taken_at,
        )
