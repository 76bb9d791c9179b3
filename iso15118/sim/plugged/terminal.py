"""One side from its devices to its messages: controller, plug and link, discovery, session.

What a runtime does with sockets and an event loop happens here under virtual time; who decides is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from iso15118.control.common import CpState
from iso15118.discovery.events import DiscoveryFailed, SeccFound
from iso15118.discovery.sdp_client import SdpClient, SdpClientConfig
from iso15118.discovery.sdp_server import SdpAvailability, SdpServer, SdpServerConfig, SeccEndpoints
from iso15118.events import PauseEnded, Role, SessionEnded, SessionPaused
from iso15118.hardware import HalEv, HalEvse
from iso15118.machine import (
    Answer,
    Ask,
    Bytes,
    Close,
    Datagram,
    Do,
    Emit,
    Frame,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Output,
    PeerClosed,
    Send,
    Update,
)
from iso15118.plug.levels import inlet_levels, outlet_levels, report_of
from iso15118.plug.stack import PlugStack
from iso15118.plug.words import Communicate, Report
from iso15118.security.paused import PausedSession
from iso15118.sim.bench_world import UPDATE_S, answer_of, marks_of
from iso15118.sim.plugged.network import link_local, read_udp, udp_frame
from iso15118.wire.sdp import SDP_PORT

if TYPE_CHECKING:
    from iso15118.sim.plugged.world import PluggedWorld
    from iso15118.sim.powerline.medium import Port

SECC_PORT: Final = 49_152
EV_PORT: Final = 50_000
ANSWER_S: Final = 0.1
"""What an operator or owner needs for an answer."""
MANAGEMENT: Final = b"\x88\xe1"
DISCOVERY_CYCLES: Final = 3


class Terminal:
    """What both sides share; a `Part` of the world."""

    role: Role

    def __init__(self, world: PluggedWorld, controller: HalEvse | HalEv, plug: PlugStack, port: Port) -> None:
        self.world, self.controller, self.plug, self.port = world, controller, plug, port
        self.session: Machine | None = None
        self.sdp: Machine | None = None
        self.gone = False  # its computer has stopped
        self.paused: PausedSession | None = None
        self._marks: Any = None
        self._update_at = math.inf

    # --- time ---------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """The earliest of all that waits here."""
        if self.gone:
            return math.inf
        due = min(self.controller.deadline, self.plug.deadline, self._update_at)
        if self.sdp is not None:
            due = min(due, self.sdp.deadline)
        return min(due, self.session.deadline) if self.session is not None else due

    def tick(self, now: float) -> None:
        """Devices first, then the levels, then what decides, from below."""
        if now >= self.controller.deadline:
            self.controller.tick(now)
            self._take(self.controller.outputs())
        self._tell(now)
        for machine in (self.plug, self.sdp, self.session):
            if machine is not None and machine.deadline <= now:
                machine.tick(now)
                self._take(machine.outputs())

    def begin(self) -> None:
        """The computer has started; its port to the modem is open."""
        self._give(self.plug, LinkUp())
        self._tell(self.world.now)

    def _tell(self, now: float) -> None:
        """Levels: those that matter at once when they change, the others from time to time."""
        state = self.controller.state()
        marks = (*marks_of(state), self._pilot_mark(state))
        if marks == self._marks and now < self._update_at:
            return
        self._marks, self._update_at = marks, now + UPDATE_S
        self._give(self.plug, Update(self._plug_levels(state)))
        if self.session is not None:
            self._give(self.session, Update(state))

    def _plug_levels(self, state: Any) -> Any:
        raise NotImplementedError

    def _pilot_mark(self, state: Any) -> Any:
        raise NotImplementedError

    # --- what comes in ------------------------------------------------------------------------

    def frame(self, octets: bytes) -> None:
        """A frame has arrived at the host."""
        if self.gone:
            return
        if octets[12:14] != b"\x86\xdd":
            self._give(self.plug, Frame(octets))
        elif self.sdp is not None and (found := read_udp(octets)) is not None:
            self._give(self.sdp, Datagram(found.payload, found.src))

    def octets(self, data: bytes | None) -> None:
        """Octets have arrived on the connection; None for its end."""
        if self.session is not None and not self.gone:
            self._give(self.session, PeerClosed() if data is None else Bytes(data))

    def connected(self) -> None:
        """The connection stands: levels first, then the link."""
        assert self.session is not None
        self._give(self.session, Update(self.controller.state()))
        self._give(self.session, LinkUp())

    def _give(self, machine: Any, item: Input | Report) -> None:
        if not self.gone:
            machine.receive(item, self.world.now)
            self._take(machine.outputs())

    def report(self, report: Report) -> None:
        """Tell the plug what has become of a session."""
        self._give(self.plug, report)

    # --- what goes out ------------------------------------------------------------------------

    def _take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if not self.gone:
                self._act(output)

    def _act(self, output: Output) -> None:
        world = self.world
        match output:
            case Emit(event=event):
                world.events.append(event)
                self._heard(event)
            case Frame(data=octets):
                world.medium.send(self.port, octets, world.now)
            case Datagram():
                world.medium.send(self.port, udp_frame(self.port.mac, self._udp_port, output), world.now)
            case Do(command=Communicate(on=on)):
                self._communicate(on)
            case Do(command=command):
                self.controller.command(command)
                self._take(self.controller.outputs())
            case Send(data=data):
                world.write(self, data)
            case Ask(question=question):
                world.later(
                    ANSWER_S,
                    self._answer,
                    self.session,
                    Answer(question, answer_of(self.controller, question)),
                )
            case Close(after=after):
                world.later(after, self._close, self.session)

    @property
    def _udp_port(self) -> int:
        raise NotImplementedError

    def _answer(self, session: Machine, answer: Answer) -> None:
        if session is self.session:
            self._give(session, answer)

    def _heard(self, event: Any) -> None:
        """What an event means for the other parts of this side."""
        if isinstance(event, SessionPaused):
            self.paused = event.session
        elif isinstance(event, PauseEnded):
            self.paused = None

    def _communicate(self, on: bool) -> None:
        raise NotImplementedError

    # --- the session's end --------------------------------------------------------------------

    def _close(self, session: Machine | None) -> None:
        """The connection is closed by this side."""
        if session is not None and session is self.session:
            self.session = None
            self.world.hang_up(self)
            self._closed()

    def _closed(self) -> None:
        """The connection is gone, whoever closed it."""

    def _abort(self) -> None:
        """End a running session: power off, connection cut."""
        session = self.session
        if session is not None:
            self._give(session, LinkDown())
            self._close(session)


class StationTerminal(Terminal):
    """The charger."""

    role: Role = "SECC"
    _udp_port = SDP_PORT

    def _plug_levels(self, state: Any) -> Any:
        if state.cp is CpState.A:
            self.paused = None
        return outlet_levels(state)

    def _pilot_mark(self, state: Any) -> Any:
        return (state.basic_limit_a, state.wake)

    @property
    def accepting(self) -> bool:
        """Whether a connection would be taken."""
        return self.sdp is not None and self.session is None and not self.gone

    def accept(self, session: Machine) -> None:
        """A car has connected."""
        self.session = session
        self._available(False)
        self.report(Report.SESSION_BEGUN)

    def _communicate(self, on: bool) -> None:
        if on:
            ports = {"plain_port" if self.world.tls is None else "tls_port": SECC_PORT}
            endpoints = SeccEndpoints(link_local(self.port.mac), **ports)
            self.sdp = SdpServer(SdpServerConfig(endpoints))
            self._give(self.sdp, LinkUp())
            self._available(self.session is None)
        else:
            self.sdp = None
            self._abort()

    def _available(self, accepting: bool) -> None:
        if self.sdp is not None:
            self._give(self.sdp, Update(SdpAvailability(accepting)))

    def _heard(self, event: Any) -> None:
        super()._heard(event)
        if isinstance(event, SessionEnded):
            self.report(report_of(event))

    def _closed(self) -> None:
        self._available(True)


class CarTerminal(Terminal):
    """The car."""

    role: Role = "EVCC"
    _udp_port = EV_PORT

    def __init__(self, world: PluggedWorld, controller: HalEv, plug: PlugStack, port: Port) -> None:
        super().__init__(world, controller, plug, port)
        self._cycles = 0
        self._ended: SessionEnded | None = None

    def _plug_levels(self, state: Any) -> Any:
        if state.duty is None:
            self.paused = None
        return inlet_levels(state)

    def _pilot_mark(self, state: Any) -> Any:
        return (state.duty, state.wake, state.basic)

    def _communicate(self, on: bool) -> None:
        if on:
            self._cycles, self._ended = DISCOVERY_CYCLES, None
            self._look()
        else:
            self.sdp = None
            self._abort()

    def _look(self) -> None:
        self._cycles -= 1
        tls = self.world.tls is not None
        self.sdp = SdpClient(SdpClientConfig(tls=tls, allow_tls=tls))
        self._give(self.sdp, LinkUp())

    def _heard(self, event: Any) -> None:
        super()._heard(event)
        match event:
            case SeccFound():
                self.sdp = None
                self.world.connect(event.address, event.port)
            case DiscoveryFailed():
                self.sdp = None
                self.not_connected()
            case SessionEnded():
                self._ended = event

    def not_connected(self) -> None:
        """There was no charger, or it did not take the connection: once more, at most so often."""
        if self._cycles > 0:
            self._look()
        else:
            self.report(Report.SESSION_BROKEN)

    def begun(self, session: Machine) -> None:
        """The charger has taken the connection."""
        self.session, self._ended = session, None
        self.report(Report.SESSION_BEGUN)

    def _closed(self) -> None:
        """Only now: leaving the network earlier would cut off what is still on its way."""
        ended = self._ended
        self.report(report_of(ended) if ended is not None else Report.SESSION_BROKEN)
