"""Time for a bench, a powerline and a computer at either end.

world = PluggedWorld("DC", "dynamic", seed=7)
world.plug()
world.run_until(lambda: world.current_a > 50.0, 60.0)
world.unplug()
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, Protocol

from iso15118.config import EvccConfig, SeccConfig, SlacConfig
from iso15118.evcc.machine import EvccMachine
from iso15118.events import Role
from iso15118.machine import Entropy, Frame, LinkUp, Machine, Utc
from iso15118.plug.ev import EvPlug
from iso15118.plug.evse import EvsePlug
from iso15118.plug.stack import PlugStack
from iso15118.runtime.security import session_config
from iso15118.secc.machine import SeccMachine
from iso15118.sim.bench_world import BenchWorld
from iso15118.sim.faults import Fault
from iso15118.sim.plugged.network import TcpLine, link_local
from iso15118.sim.plugged.terminal import SECC_PORT, CarTerminal, StationTerminal, Terminal
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM, ModemConfig
from iso15118.sim.powerline.medium import Medium, Port
from iso15118.slac.dlink import DLink
from iso15118.slac.ev import EvSlac
from iso15118.slac.evse import EvseSlac

if TYPE_CHECKING:
    from iso15118.sim.contracts import PlugAndCharge
    from iso15118.sim.tls import Credentials, MakeSession
    from iso15118.tls.engine import TlsFacts

EVSE_MAC: Final = bytes.fromhex("02000000e5e0")
EV_MAC: Final = bytes.fromhex("0200000000e0")
CABLE_DB: Final = 12.0
CONNECT_S: Final = 0.004
"""TCP's handshake."""


class Host(Protocol):
    """Whoever is behind a port of the medium."""

    def frame(self, octets: bytes) -> None:
        """A frame has arrived."""


class PluggedWorld(BenchWorld):
    """A station and a car, whole. `seed` repeats a run to the bit.

    `secc` and `evcc` configure sessions, plug and link; `modems` are the EVSE's and the EV's; `tls` and `pnc` are what
    both sides show and trust (see `sim.tls` and `sim.contracts`); `hardware` goes to BenchWorld. Nothing is plugged in
    at the beginning; the station runs, the car sleeps until it is.
    """

    def __init__(
        self,
        service: str = "DC",
        control: str = "dynamic",
        *,
        seed: int = 0,
        secc: SeccConfig | None = None,
        evcc: EvccConfig | None = None,
        modems: tuple[ModemConfig, ModemConfig] = (EVSE_MODEM, EV_MODEM),
        tls: Credentials | None = None,
        pnc: PlugAndCharge | None = None,
        **hardware: Any,
    ) -> None:
        super().__init__(service, control, seed=seed, **hardware)
        energy, mode = self.energy, self.mode
        self.secc_config = secc or SeccConfig(services=(energy,), control_modes=(mode,), insecure_no_tls=True)
        self.evcc_config = evcc or EvccConfig(services=(energy,), control_mode=mode, insecure_no_tls=True)
        self._seed = seed
        self.tls = tls
        self._trust = pnc.trust if pnc is not None else None
        self._wallet = pnc.wallet if pnc is not None else None
        self._entropy = {name: self.entropy(name) for name in ("secc", "evcc", "evse slac", "ev slac")}
        self.replugging = False
        """Whether somebody has pulled the connector to plug it in again."""
        self.broken: list[Fault] = []
        """What of the hardware and the computers has failed so far."""
        self.medium = Medium(seed)
        self.evse_port = self.medium.attach(EVSE_MAC, modems[0])
        self.ev_port = self.medium.attach(EV_MAC, modems[1])
        self.cable_db = CABLE_DB
        self.medium.attenuate(self.ev_port, self.evse_port, self.cable_db)
        self.tcp_delay_s, self.tcp_chunk = 0.0, 0
        self.line: TcpLine | None = None
        self.station = StationTerminal(self, self.hal_evse, self._outlet(self.secc_config), self.evse_port)
        self.car = CarTerminal(self, self.hal_ev, self._inlet(self.evcc_config), self.ev_port)
        self._hosts: dict[Port, Host] = {self.evse_port: self.station, self.ev_port: self.car}
        self.parts = [self.station, self.car, _Powerline(self)]
        for terminal in (self.station, self.car):
            terminal.begin()

    def _outlet(self, config: SeccConfig) -> PlugStack:
        slac: SlacConfig = config.slac
        return PlugStack(
            EvsePlug(config.plug, dc=config.dc), EvseSlac(EVSE_MAC, slac, self._entropy["evse slac"])
        )

    def _inlet(self, config: EvccConfig) -> PlugStack:
        return PlugStack(EvPlug(config.plug), EvSlac(EV_MAC, config.slac, self._entropy["ev slac"]))

    # --- what a test does ---------------------------------------------------------------------

    def plug(self) -> None:
        """Put the connector in."""
        self.replugging = False
        self.bench.plug()

    def unplug(self) -> None:
        """Pull it out."""
        self.bench.unplug()

    @property
    def linked(self) -> bool:
        """Whether both modems are in one network."""
        return self.medium.linked(self.evse_port, self.now) and self.medium.linked(self.ev_port, self.now)

    def stop_computer(self, role: str) -> None:
        """The computer of "SECC" or "EVCC" stops; its devices are on their own."""
        (self.station if role == "SECC" else self.car).gone = True

    def entropy(self, name: str) -> Entropy:
        """Chance of its own for `name`."""
        return random.Random(f"{name} {self._seed}").randbytes

    def add_host(self, port: Port, machine: Machine, *, matching: bool = False) -> None:
        """Somebody else on the powerline; `matching`: a car is plugged in there as well."""
        neighbour = _Neighbour(self, port, machine)
        self._hosts[port] = neighbour
        self.parts.append(neighbour)
        neighbour.give(LinkUp())
        if matching:
            neighbour.give(DLink.MATCH)

    # --- connections --------------------------------------------------------------------------

    def connect(self, address: str, port: int) -> None:
        """The car connects to where discovery has sent it."""
        self.later(CONNECT_S, self._connect, address, port)

    def _connect(self, address: str, port: int) -> None:
        here = (address, port) == (link_local(EVSE_MAC), SECC_PORT)
        if not (here and self.linked and self.station.accepting) or self.car.gone:
            self.car.not_connected()
            return
        line = self.line = TcpLine(random.Random(f"tcp {self._seed} {self.now}"), lambda: self.linked)
        for stream in line.streams.values():
            stream.delay_s += self.tcp_delay_s
            stream.chunk = self.tcp_chunk
        self.station.accept(self._machine("SECC", self._make_secc, self._entropy["secc"]))
        self.car.begun(self._machine("EVCC", self._make_evcc, self._entropy["evcc"]))
        for terminal in (self.station, self.car):
            terminal.connected()

    def _machine(self, role: Role, make: MakeSession, entropy: Entropy) -> Machine:
        """A session machine, behind TLS where there are credentials."""
        if self.tls is None:
            return make(entropy, self.bench.utc, None)
        from iso15118.sim.tls import behind_tls  # sessions without TLS do not load its library

        security = self.tls.secc if role == "SECC" else self.tls.evcc
        return behind_tls(role, security, make)(entropy, self.bench.utc)

    def _make_secc(self, entropy: Entropy, utc: Utc, facts: TlsFacts | None) -> Machine:
        config = session_config(self.secc_config, facts)
        return SeccMachine(config, entropy, utc, tls=facts, trust=self._trust, paused=self.station.paused)

    def _make_evcc(self, entropy: Entropy, utc: Utc, facts: TlsFacts | None) -> Machine:
        config = session_config(self.evcc_config, facts)
        return EvccMachine(config, entropy, utc, tls=facts, wallet=self._wallet, paused=self.car.paused)

    def write(self, sender: Terminal, data: bytes) -> None:
        """A side writes to its connection."""
        if self.line is not None:
            self.line.write(sender.role, data, self.now)

    def hang_up(self, sender: Terminal) -> None:
        """A side closes its connection."""
        if self.line is not None:
            self.line.end(sender.role, self.now)

    def reset_connection(self) -> None:
        """Both sides learn that the connection is gone; what is under way is lost."""
        if self.line is not None and not self.line.cut:
            self.line.cut = True
            for terminal in (self.station, self.car):
                terminal.octets(None)

    def arrive(self, now: float) -> None:
        """What has crossed the powerline up to `now`."""
        for port, octets in self.medium.due(now):
            self._hosts[port].frame(octets)
        if self.line is not None:
            for sender, data in self.line.due(now):
                other: Terminal = self.car if sender == "SECC" else self.station
                other.octets(data)


class _Powerline:
    """The medium and the connection as one part of the world."""

    def __init__(self, world: PluggedWorld) -> None:
        self._world = world

    @property
    def deadline(self) -> float:
        world = self._world
        return min(world.medium.deadline, world.line.deadline if world.line is not None else float("inf"))

    def tick(self, now: float) -> None:
        self._world.arrive(now)


class _Neighbour:
    """Somebody else at a port: a machine that knows frames alone."""

    def __init__(self, world: PluggedWorld, port: Port, machine: Machine) -> None:
        self._world, self._port, self._machine = world, port, machine

    @property
    def deadline(self) -> float:
        return self._machine.deadline

    def tick(self, now: float) -> None:
        self._machine.tick(now)
        self._send()

    def frame(self, octets: bytes) -> None:
        self.give(Frame(octets))

    def give(self, item: Any) -> None:
        self._machine.receive(item, self._world.now)
        self._send()

    def _send(self) -> None:
        for output in self._machine.outputs():
            if isinstance(output, Frame):
                self._world.medium.send(self._port, output.data, self._world.now)
