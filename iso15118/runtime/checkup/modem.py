"""The modem behind a port: is it there, what is it, how is it set up, and what does it hear?

It is asked only for what changes nothing; it gets no key, and matching may go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from hal.errors import HalError
from hal.plc import EthernetPort
from iso15118.errors import FramingError
from iso15118.events import Role
from iso15118.runtime.checkup import parameters
from iso15118.runtime.checkup.findings import Finding, error, note, ok, warning
from iso15118.slac.vendors import DISCOVERY, VENDORS, Vendor
from iso15118.wire import homeplug, homeplug_vendor
from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM, AttenProfileInd, Frame, Message, MnbcSoundInd
from iso15118.wire.homeplug_vendor import VsRdModCnf, VsRdModReq

ANSWER_S: Final = 0.3
"""Modems answer within milliseconds; one on a slow serial line needs more."""
TRIES: Final = 2
LUMISSIL_STATES: Final = MappingProxyType({1: "not in a network", 5: "station", 6: "coordinator"})


@dataclass(slots=True)
class Line:
    """A port that is open, and what has come from it. `modem`: the own modem's address, once it is known."""

    port: EthernetPort
    modem: bytes | None = None
    frames: list[Frame] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, octets: bytes) -> None:
        """A frame has come; what is none is left aside."""
        try:
            self.frames.append(homeplug.read(octets))
        except FramingError:
            return
        self._arrived.set()

    async def ask(
        self,
        request: Message,
        kind: type[Message],
        *,
        fits: Callable[[Any], bool] = lambda _: True,
    ) -> Frame | None:
        """The own modem's answer of this kind that fits; anybody's where the own one is not known yet."""
        for _ in range(TRIES):
            seen = len(self.frames)
            self._send(request, LOCAL_MODEM)
            end = asyncio.get_running_loop().time() + ANSWER_S
            while True:
                for frame in self._since(seen, kind):
                    if self.modem in (None, frame.source) and fits(frame.message):
                        return frame
                if not await self._until(end):
                    break
        return None

    async def ask_all(self, request: Message, kind: type[Message]) -> list[Frame]:
        """Everybody's answers of this kind."""
        seen = len(self.frames)
        self._send(request, BROADCAST)
        await asyncio.sleep(ANSWER_S)
        return list(self._since(seen, kind))

    def _send(self, request: Message, to: bytes) -> None:
        self._arrived.clear()
        self.port.send(homeplug.write(Frame(to, self.port.mac, request)))

    def _since(self, seen: int, kind: type[Message]) -> Iterator[Frame]:
        return (frame for frame in self.frames[seen:] if isinstance(frame.message, kind))

    async def _until(self, end: float) -> bool:
        """Wait for the next frame; False at `end` (s on the loop's clock)."""
        try:
            async with asyncio.timeout_at(end):
                await self._arrived.wait()
        except TimeoutError:
            return False
        self._arrived.clear()
        return True

    async def answer(self, request: Message, kind: type[Message]) -> Any:
        """The message of the own modem's answer; None for none."""
        frame = await self.ask(request, kind)
        return frame.message if frame is not None else None


async def check_modem(port: EthernetPort, role: Role, listen_s: float = 0.0) -> AsyncIterator[Finding]:
    """All about the modem behind `port`, which is opened and closed; `listen_s`: wait for sounds of a car."""
    line = Line(port)
    port.on_frame(line.take)
    try:
        await port.open()
    except HalError as problem:
        yield error(
            "modem port",
            f"{problem.kind.value}: {problem.detail}",
            f"{problem.device} does not open",
            problem.next_step,
        )
        return
    try:
        yield ok("modem port", f"{port.name} open, own address {port.mac.hex(':')}")
        async for finding in _look(line, role):
            yield finding
        await asyncio.sleep(listen_s)
        for finding in _heard(line, role):
            yield finding
    finally:
        await port.close()


def check_way(port: EthernetPort, interface: str) -> Iterator[Finding]:
    """Whether IPv6 over `interface` goes through the modem behind `port`."""
    subject = "way of IPv6"
    if port.interface is None:
        yield note(
            subject,
            f"{port.name} carries management messages only",
            "a modem without a network interface: this program cannot see where IPv6 goes",
            f"{interface} has to lead to the same modem (for a UART: the kernel's driver qcauart)",
        )
    elif port.interface != interface:
        yield warning(
            subject,
            f"the modem is at {port.interface}, IPv6 at {interface}",
            "what has been matched at one does not connect the other, unless both are bridged",
            f"Use {port.interface} for both",
        )


async def _look(line: Line, role: Role) -> AsyncIterator[Finding]:
    vendor, answer = await _identify(line)
    if vendor is None or answer is None:
        yield await _stranger(line)
        return
    version = vendor.version.text(answer.message)
    yield ok("modem", f"{vendor.name} at {answer.source.hex(':')}")
    async for finding in _network(line, vendor, role):
        yield finding
    if vendor.name != "qualcomm":
        yield ok("modem firmware", version or "not told in a known form")
    else:
        for finding in parameters.judge_firmware(version, role):
            yield finding
        async for finding in _setup(line, version, role):
            yield finding
        yield await _remote_access(line)


async def _identify(line: Line) -> tuple[Vendor | None, Frame | None]:
    for vendor in VENDORS.values():
        for asked in (vendor, vendor.with_long_header()) if vendor.long is not None else (vendor,):
            answer = await line.ask(asked.version.request, asked.version.answer)
            if answer is not None:
                line.modem = answer.source
                return asked, answer
    return None, None


async def _stranger(line: Line) -> Finding:
    """A modem of an unknown make, or none."""
    answer = await line.ask(DISCOVERY.request, DISCOVERY.answer)
    if answer is not None:
        return note(
            "modem",
            f"of an unknown make at {answer.source.hex(':')}",
            "it answers CC_DISCOVER_LIST, but no question of Qualcomm, Lumissil or Vertexcom",
            "Check its role with the maker's tool; matching needs CM_SET_KEY and, at a charger, CM_ATTEN_PROFILE",
        )
    return error(
        "modem",
        "nobody answers",
        "no power, another interface or baud rate, or a modem that answers nothing but CM_SET_KEY, which is not tried "
        "here because it would end a session",
        "Check power and wiring; see with `iso15118 slac sniff` whether anything is said at all",
    )


# --- network ------------------------------------------------------------------------------------


async def _network(line: Line, vendor: Vendor, role: Role) -> AsyncIterator[Finding]:
    answer = await line.answer(vendor.link.request, vendor.link.answer)
    if answer is None:
        yield note(
            "modem link", f"{vendor.link.name} is not answered", "the link is taken for granted after 10 s"
        )
    elif vendor.link.says(answer):
        yield ok("modem link", "another modem is in the same network")
    else:
        yield ok("modem link", "down: no other modem in the network, as it should be without a car")
    if vendor.name == "qualcomm":
        async for finding in _qualcomm_network(line, role):
            yield finding
    elif vendor.name == "lumissil":
        request, kind = homeplug_vendor.LumissilGetDeviceStateReq(), homeplug_vendor.LumissilGetDeviceStateCnf
        state = await line.answer(request, kind)
        if state is not None:
            yield ok("modem network", LUMISSIL_STATES.get(state.state, f"state {state.state}"))


async def _qualcomm_network(line: Line, role: Role) -> AsyncIterator[Finding]:
    vendor = homeplug_vendor
    for request, kind in (
        (vendor.VsNwInfoReqV1(), vendor.VsNwInfoCnfV1),
        (vendor.VsNwInfoReq(), vendor.VsNwInfoCnf),
    ):
        answer = await line.answer(request, kind)
        if answer is not None:
            break
    networks = answer.networks if answer is not None else ()
    for network in networks:
        place = {0: "station", 1: "proxy", 2: "coordinator"}.get(network.role, f"role {network.role}")
        rates = "".join(f", {s.mac.hex(':')} {s.tx_mbps}/{s.rx_mbps} Mbit/s" for s in network.stations)
        yield ok("modem network", f"{place} with {len(network.stations)} others{rates}")
        for finding in parameters.judge_network(network.nid):
            yield finding
    if not networks:
        told = "in none" if role == "EVCC" else "in none yet; a charger founds one with its first key"
        yield note("modem network", told)


# --- parameters ---------------------------------------------------------------------------------


async def _setup(line: Line, version: str, role: Role) -> AsyncIterator[Finding]:
    if not parameters.knows_layout(version):
        yield parameters.unknown_layout(version)
        return
    pieces: dict[str, bytes] = {}
    for name, (offset, length) in parameters.PIECES.items():
        piece = await _piece(line, offset, length)
        if piece is None:
            yield note(
                "modem parameters",
                "cannot be read",
                f"VS_RD_MOD at {offset:#x} was not answered or refused",
                "Read them with the maker's tool",
            )
            return
        pieces[name] = piece
    for finding in parameters.judge_parameters(parameters.parameters_of(pieces), role):
        yield finding


async def _piece(line: Line, offset: int, length: int) -> bytes | None:
    """So many octets of the parameter block; None where the modem does not give them."""
    wanted = (parameters.MODULE, offset)
    frame = await line.ask(
        _reading(offset, length), VsRdModCnf, fits=lambda m: (m.module_id, m.offset) == wanted
    )
    answer = frame.message if frame is not None else None
    if not isinstance(answer, VsRdModCnf) or answer.status or min(answer.length, len(answer.data)) < length:
        return None
    return answer.data[:length]


async def _remote_access(line: Line) -> Finding:
    """Whether modems elsewhere on the powerline let everybody read their parameters."""
    answers = await line.ask_all(_reading(*parameters.PIECES["cco"]), VsRdModCnf)
    readable = {a.source for a in answers if isinstance(a.message, VsRdModCnf) and not a.message.status}
    return parameters.judge_answers_of_others(len(readable - {line.modem}))


def _reading(offset: int, length: int) -> Message:
    return VsRdModReq(module_id=parameters.MODULE, length=length, offset=offset)


# --- what is heard ------------------------------------------------------------------------------


def _heard(line: Line, role: Role) -> list[Finding]:
    messages = [frame.message for frame in line.frames]
    sounds = sum(isinstance(message, MnbcSoundInd) for message in messages)
    groups = tuple(len(message.aag) for message in messages if isinstance(message, AttenProfileInd))
    return list(parameters.judge_profiles(role, sounds, groups))
