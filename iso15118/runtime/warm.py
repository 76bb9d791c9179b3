"""Have everything in memory before the first peer comes: imports and the codec's tables.

Both are made on first use otherwise, in the middle of a session: a fraction of a second on a PC, but
seconds on a small board, where the peer waits no longer than 2 s (0.5 s in the charge loop).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable

from iso15118.control.common import EnergyService
from iso15118.messages import namespaces
from iso15118.messages.registry import schema_set


async def warm_up(services: Iterable[EnergyService], machine: str) -> None:
    """Import the module `machine` and compile the messages that `services` need; lets others run between."""
    importlib.import_module(machine)
    energy = {namespaces.AC if service.is_ac else namespaces.DC for service in services}
    for namespace in (namespaces.SAP, namespaces.COMMON_MESSAGES, *sorted(energy)):
        messages = schema_set(namespace)
        for declared in messages.classes:
            messages.kind(declared).compiled()
            await asyncio.sleep(0)
