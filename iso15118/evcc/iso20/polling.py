"""Asking again while the station, its operator or its customer takes time."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20.common import (
    AuthorizationReq,
    AuthorizationRes,
    CertificateInstallationReq,
    CertificateInstallationRes,
)
from iso15118.messages.iso20.types import Processing

R = TypeVar("R", AuthorizationRes, CertificateInstallationRes)


async def until_finished(
    ev: Ev, request: AuthorizationReq | CertificateInstallationReq, response: type[R]
) -> R:
    """Ask until the station has finished, always the same but for the time stamp [V2G20-1582]; then its answer.

    The session ends where that takes longer than the ongoing timer, or than a customer may take.
    """
    begun, waiting = ev.now, False
    while True:
        answer = await ev.ask(request, response)
        if answer.evse_processing is Processing.FINISHED:
            return answer
        waiting |= answer.evse_processing is Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION
        timers = ev.config.timers
        if ev.now - begun >= (timers.customer_s if waiting else timers.ongoing_s):
            ev.expire("V2G_EVCC_Ongoing_Timeout")
        await ev.pause()
        request = replace(request, header=replace(ev.header, signature=request.header.signature))


async def authorization(ev: Ev, request: AuthorizationReq) -> str:
    """The station's decision: an acceptance is remembered; the code of a refusal is returned."""
    code = (await until_finished(ev, request, AuthorizationRes)).response_code
    ev.authorized = not code.value.startswith("WARNING")
    return "" if ev.authorized else str(code)
