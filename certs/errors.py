"""The one exception of this package. What is wrong with a peer's certificate is a verdict, not an exception."""

from __future__ import annotations

import datetime


class CertsError(Exception):
    """Something of ours cannot be used: what, why, and what to do next. Never quotes a key or a passphrase."""

    def __init__(self, what: str, cause: str, *, next_step: str = "") -> None:
        super().__init__(f"{what}: {cause}" + (f". {next_step}" if next_step else ""))
        self.what, self.cause, self.next_step = what, cause, next_step

    def diagnostics(self) -> str:
        """Cause and next step in plain words."""
        return str(self)


def demand_aware(at: datetime.datetime) -> datetime.datetime:
    """`at` in UTC; CertsError where it has no time zone, for a naive time would silently be a local one."""
    if at.tzinfo is None:
        raise CertsError(
            "time", f"{at} has no time zone", next_step="Use datetime.now(datetime.UTC) or similar"
        )
    return at.astimezone(datetime.UTC)
