"""The amplitude map: either side may ask the other to transmit more weakly on some carriers."""

from __future__ import annotations

from typing import Final

from iso15118.slac.constants import RETRIES
from iso15118.slac.events import AmpMapReceived, AmpMapRefused
from iso15118.slac.host import Host, message_from
from iso15118.wire.homeplug import AmpMapCnf, AmpMapReq, Frame

STEP_DB: Final = 2
"""Reduction of one step; the last step switches the carrier off."""


def answer_amp_map(host: Host, frame: Frame) -> None:
    """Confirm the map of a peer and report it; most modems apply it by themselves. An empty one is ignored."""
    if isinstance(frame.message, AmpMapReq) and frame.message.amplitudes:
        reductions = tuple(step * STEP_DB for step in frame.message.amplitudes)
        host.report(AmpMapReceived, reductions_db=reductions)
        host.send(AmpMapCnf(), frame.source)


async def exchange_amp_map(host: Host, peer: bytes) -> None:
    """Send the configured map; what is not a success counts as no answer [V2G3-A09-114]. Failure is not fatal."""

    def accept(item: object) -> AmpMapCnf | None:
        answer = message_from(peer, AmpMapCnf, item)
        return answer if answer is not None and answer.result == 0 else None

    request = AmpMapReq(amplitudes=tuple(db // STEP_DB for db in host.config.amp_map_db))
    if await host.ask(request, peer, accept, host.times.amp_map_s) is None:
        host.emit(AmpMapRefused, reason=f"no successful CM_AMP_MAP.CNF to {1 + RETRIES} requests")
