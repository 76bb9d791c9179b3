"""Commands on their way to the controller: past the interlock, and each once until it is time to say it again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from iso15118 import events
from iso15118.control.evse import (
    Command,
    Deenergise,
    EvseState,
    OpenContactor,
    SetAcTarget,
    SetDcTarget,
    UnlockConnector,
)
from iso15118.secc.interlock import objection
from iso15118.secc.session import Record

REPEAT_S: Final = 0.2
"""What is still wanted is commanded again after so long, and not sooner."""
_TARGETS: Final = (SetDcTarget, SetAcTarget)
_UNDOING: Final = (OpenContactor, UnlockConnector, Deenergise)


class Commander:
    """`emit` takes a kind of event and its values, `do` a command that may go to the controller."""

    def __init__(self, emit: Callable[..., None], do: Callable[[Command], None]) -> None:
        self._emit, self._do = emit, do
        self._given: dict[type[Any], tuple[Command, float]] = {}

    def give(self, command: Command, record: Record, state: EvseState, now: float) -> None:
        """Command this, unless the interlock objects or it was said just now.

        Targets go out each time, they are the charge loop's sign of life; only new ones are told.
        """
        reason = objection(command, record, state)
        if reason is not None:
            self._emit(events.CommandRefused, command=command, reason=reason)
            return
        before, at = self._given.get(type(command), (None, -math.inf))
        target, same = isinstance(command, _TARGETS), before == command
        if same and not target and now - at < REPEAT_S:
            return  # a request that is held is looked at again with each new level
        if isinstance(command, _UNDOING):
            self._given.clear()
        self._given[type(command)] = command, now
        if not (same and target):
            self._emit(events.CommandIssued, command=command)
        self._do(command)
