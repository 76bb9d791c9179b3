"""The paused session of one side between two connections; in a file, where one is named, also between two starts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from iso15118.errors import ConfigError
from iso15118.events import PauseEnded, SessionPaused
from iso15118.security.paused import PausedSession

MAX_OCTETS: Final = 65_536
_LOG: Final = logging.getLogger("iso15118.runtime")


class KeptSession:
    """Hears the events of a side's sessions and holds what the next one needs.

    A `file` (empty: none) that cannot be read or written costs the resume, never the session: the log tells, and the next session
    begins anew.
    """

    def __init__(self, file: str = "") -> None:
        self._file = Path(file) if file else None
        self.session: PausedSession | None = self._read()

    def hear(self, event: Any) -> None:
        """An event of a session of this side."""
        if isinstance(event, SessionPaused):
            self.keep(event.session)
        elif isinstance(event, PauseEnded):
            self.forget()

    def forget(self) -> None:
        """Nothing goes on any more."""
        if self.session is not None:
            self.keep(None)

    def keep(self, session: PausedSession | None) -> None:
        """This one goes on, or (None) none."""
        self.session = session
        self._write()

    def _read(self) -> PausedSession | None:
        if self._file is None or not self._file.exists():
            return None
        try:
            with self._file.open(encoding="utf-8") as file:
                return PausedSession.from_text(file.read(MAX_OCTETS))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            _LOG.warning("the paused session in %s is lost: %s", self._file, error)
            return None

    def _write(self) -> None:
        if self._file is None:
            return
        from certs.errors import (
            CertsError,  # certificates are loaded by whoever keeps something, and by nobody else
        )
        from certs.keys import write_private

        try:
            if self.session is None:
                self._file.unlink(missing_ok=True)
            else:
                write_private(self._file, self.session.to_text().encode())
        except (OSError, CertsError) as error:
            _LOG.warning("the paused session cannot be kept in %s: %s", self._file, error)
