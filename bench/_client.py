"""A vehicle that blocks: one request, one response, and the time between them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from iso15118.config import EvccConfig
from iso15118.control import ev
from iso15118.control.common import ControlMode, EnergyService
from iso15118.evcc.machine import EvccMachine
from iso15118.events import MessageSent, SessionEnded
from iso15118.machine import Answer, Ask, Bytes, Close, Do, Emit, LinkUp, Send, Update
from iso15118.sim.realtime import BenchCar
from iso15118.wire.v2gtp import HEADER_LENGTH

HERE = Path(__file__).resolve().parent


class Station:
    """The charger process; a context manager."""

    def __init__(self, service: EnergyService) -> None:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "_station.py"), service.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the charger did not start")
        return line

    def wait_until_free(self) -> None:
        """Until the session before is over."""
        self._line()

    def rss_mib(self) -> float:
        """Resident memory of the process."""
        return rss_mib(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate(timeout=10)


def rss_mib(pid: int) -> float:
    """Resident memory of a process, from /proc (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this needs Linux's /proc")


class Client:
    """Drives a whole session over a blocking socket; `turns` are (request name, seconds until the response)."""

    def __init__(self, port: int, service: EnergyService, control: ControlMode, loops: int) -> None:
        self.car = BenchCar(service, control)
        config = EvccConfig(
            services=(service,),
            control_mode=control,
            loop_interval_s=0.0,
            poll_interval_s=0.005,
            max_loops=loops,
            insecure_no_tls=True,
        )
        self.machine = EvccMachine(config, os.urandom, time.time)
        self.turns: list[tuple[str, float]] = []
        self.ended: SessionEnded | None = None
        self._pending = b""
        self._inbox: deque[Any] = deque()
        self._over = False
        self._socket = socket.create_connection(("::1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> SessionEnded:
        """The session, to its end."""
        with self._socket:
            self._feed(Update(self.car.state))
            self._feed(LinkUp())
            while not self._over:
                now = time.monotonic()
                self.car.step(now)
                self._feed(Update(self.car.state))
                if now >= self.machine.deadline:
                    self.machine.tick(now)
                    self._drain()
                    self._feed(Update(self.car.state))
                else:
                    time.sleep(min(0.002, self.machine.deadline - now))
        if self.ended is None or not self.ended.as_intended:
            raise SystemExit(f"the session failed: {self.ended}")
        return self.ended

    def _feed(self, item: Any) -> None:
        """Give the machine `item` and all that follows from it."""
        self._inbox.append(item)
        while self._inbox:
            self.machine.receive(self._inbox.popleft(), time.monotonic())
            self._drain()

    def _drain(self) -> None:
        for output in list(self.machine.outputs()):
            match output:
                case Send(data=data):
                    self._pending = data
                case Emit(event=MessageSent(message=message)):  # follows its Send at once
                    self._exchange(type(message).__name__)
                case Emit(event=SessionEnded() as ended):
                    self.ended = ended
                case Do(command=command):
                    self.car.command(command)
                case Ask(question=question):
                    self._inbox.append(Answer(question, _answer(self.car, question)))
                case Close():
                    self._over = True

    def _exchange(self, name: str) -> None:
        begun = time.perf_counter()
        self._socket.sendall(self._pending)
        response = self._receive(HEADER_LENGTH)
        response += self._receive(int.from_bytes(response[4:8], "big"))
        self.turns.append((name, time.perf_counter() - begun))
        self._inbox.append(Bytes(response))

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise SystemExit("the charger closed the connection")
            data += part
        return data


def _answer(car: BenchCar, question: Any) -> Any:
    """The bench car answers without waiting for anything."""
    wanted = (
        car.choose_service(question)
        if isinstance(question, ev.ServiceChoice)
        else car.choose_schedule(question)
    )
    try:
        wanted.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a bench car's answer waits for nothing")
