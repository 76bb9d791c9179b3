"""Without asyncio: a firmware's own `select` loop drives the session machine directly.

Charger and car are two machines on the two ends of a socket pair, in one thread. What a machine wants is
done in `perform`; when it wants to be called again stands in `deadline`.
"""

import os
import selectors
import socket
import time

from iso15118 import EnergyService, EvccConfig, SeccConfig
from iso15118.evcc.machine import EvccMachine
from iso15118.events import PowerFlow, SessionEnded
from iso15118.machine import Answer, Ask, Bytes, Close, Do, Emit, LinkUp, PeerClosed, Send, Update
from iso15118.secc.machine import SeccMachine
from iso15118.sim.realtime import BenchCar, BenchStation


def answer(controller, question):
    """The controllers' questions are coroutines; these two answer without waiting."""
    name = {
        "AuthorizationQuestion": "authorize",
        "ChargingNeeds": "offer_energy",
        "ServiceChoice": "choose_service",
        "ScheduleChoice": "choose_schedule",
    }[type(question).__name__]
    try:
        getattr(controller, name)(question).send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError(f"{name} waits for something")


class Side:
    """One machine, its hardware and its end of the cable."""

    def __init__(self, machine, hardware, link):
        self.machine, self.hardware, self.link = machine, hardware, link
        self.over = False

    def feed(self, item):
        todo = [item]
        while todo:
            self.machine.receive(todo.pop(0), time.monotonic())
            todo += self.perform()

    def perform(self):
        """Do what the machine wants; returns what it is to be told in return."""
        replies = []
        for output in self.machine.outputs():
            match output:
                case Send(data=data):
                    self.link.sendall(data)
                case Do(command=command):
                    self.hardware.command(command)
                case Ask(question=question):
                    replies.append(Answer(question, answer(self.hardware, question)))
                case Emit(event=SessionEnded(role=role, reason=reason, detail=detail)):
                    print(f"{role}: {reason.value}, {detail}")
                case Emit(event=PowerFlow(role="EVCC", power_w=power)):
                    print(f"  {power / 1000:.1f} kW")
                case Close():
                    self.over = True
        return replies

    def turn(self):
        """Called whenever nothing was received for a moment: hardware and time."""
        now = time.monotonic()
        self.hardware.step(now)
        self.feed(Update(self.hardware.state))
        if now >= self.machine.deadline:
            self.machine.tick(now)
            for reply in self.perform():
                self.feed(reply)

    def read(self):
        data = self.link.recv(4096)
        self.feed(Bytes(data) if data else PeerClosed())


def main():
    left, right = socket.socketpair()
    secc = SeccMachine(SeccConfig(services=(EnergyService.DC,), insecure_no_tls=True), os.urandom, time.time)
    evcc = EvccMachine(
        EvccConfig(services=(EnergyService.DC,), max_loops=5, insecure_no_tls=True), os.urandom, time.time
    )
    sides = [Side(secc, BenchStation(cable_check_s=0.3), left), Side(evcc, BenchCar(), right)]
    with left, right, selectors.DefaultSelector() as selector:
        for side in sides:
            selector.register(side.link, selectors.EVENT_READ, side)
            side.turn()
            side.feed(LinkUp())
        while not all(side.over for side in sides):
            for key, _ in selector.select(timeout=0.01):
                key.data.read()
            for side in sides:
                side.turn()


if __name__ == "__main__":
    main()
