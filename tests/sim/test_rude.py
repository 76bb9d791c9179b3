"""A car that breaks the protocol at any point: the station answers rightly, ends, and nothing stays energised."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from iso15118.evcc.iso20.session import session
from iso15118.messages.iso20 import common, dc
from iso15118.messages.iso20.types import V2GRequest, V2GResponse
from iso15118.messages.minimal import minimal
from iso15118.sim.run import Script, simulate
from iso15118.wire.v2gtp import encode_frame

REQUESTS = tuple(
    getattr(module, name)
    for module in (common, dc)
    for name in sorted(dir(module))
    if name.endswith("Req")
    and isinstance(getattr(module, name), type)
    and issubclass(getattr(module, name), V2GRequest)
    and getattr(module, name).__module__ == module.__name__
    and not name.startswith(("Vehicle", "CertificateInstallation", "MeteringConfirmation"))
)


class Rude:
    """The regular view of the procedure, but the request number `at` is preceded by something rude."""

    def __init__(self, ev: Any, at: int, act: Any) -> None:
        object.__setattr__(self, "_ev", ev)
        object.__setattr__(self, "_left", at)
        object.__setattr__(self, "_act", act)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ev, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._ev, name, value)

    async def ask(self, request: V2GRequest, response: type[V2GResponse], **options: Any) -> Any:
        object.__setattr__(self, "_left", self._left - 1)
        if self._left == 0:
            await self._act(self._ev, request)
        return await self._ev.ask(request, response, **options)


def rude(at: int, act: Any) -> Script:
    """The regular procedure with one rude act before its request number `at`."""

    async def procedure(ev: Any) -> None:
        await session(Rude(ev, at, act))  # type: ignore[arg-type]

    return procedure


async def another_session_id(ev: Any, request: V2GRequest) -> None:
    header = dataclasses.replace(request.header, session_id=b"\xff" * 8)
    answer = await ev.ask(dataclasses.replace(request, header=header), V2GResponse, accept_failure=True)
    assert answer.response_code == "FAILED_UnknownSession"


async def garbage(ev: Any, request: V2GRequest) -> None:
    await ev.send_raw(encode_frame(0x8002, b"\x80\xff\xff\xff\xff"), 6.0)


async def broken_header(ev: Any, request: V2GRequest) -> None:
    await ev.send_raw(b"\x02\xfd\x80\x02\x00\x00\x00\x01\x80", 6.0)


async def silence(ev: Any, request: V2GRequest) -> None:
    await ev.sleep(65.0)


async def enormous(ev: Any, request: V2GRequest) -> None:
    await ev.send_raw(b"\x01\xfe\x80\x02\x7f\xff\xff\xff" + bytes(1000), 6.0)


@pytest.mark.parametrize("at", [2, 4, 7, 9, 12, 16, 20, 24, 30])
@pytest.mark.parametrize("act", [another_session_id, garbage, broken_header, silence, enormous])
def test_the_station_survives(act: Any, at: int) -> None:
    run = simulate("DC", "dynamic", seed=at, script=rude(at, act), limit_s=300.0)
    assert run.ok, run.explain()
    assert not run.completed


@pytest.mark.parametrize("seed", range(60))
def test_a_request_out_of_place(seed: int) -> None:
    """Any request at any point: either it was in place, or it is refused and the session ends."""
    chance = random.Random(seed)
    kind = chance.choice(REQUESTS)
    seen: list[str] = []

    async def out_of_place(ev: Any, request: V2GRequest) -> None:
        given: dict[str, Any] = {"header": request.header}
        if kind is dc.DC_ChargeLoopReq:
            given["cl_req_control_mode"] = minimal(dc.Dynamic_DC_CLReqControlMode)
        answer = await ev.ask(minimal(kind, **given), V2GResponse, accept_failure=True)
        assert type(answer).__name__ == kind.__name__[:-1] + "s"
        seen.append(str(answer.response_code))

    run = simulate(
        "DC", "dynamic", seed=seed, script=rude(chance.randint(1, 40), out_of_place), limit_s=300.0
    )
    assert run.ok, run.explain()
    assert seen
    if seen[0].startswith("FAILED"):
        assert not run.completed
