"""The same medium over real sockets, terminals and interfaces: frames pass unchanged, and matching works."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hosts import EV, EVSE, Host, match, pair, until

from hal.drivers.qca_framing import Decoder, encode
from iso15118.errors import LinkError
from iso15118.runtime import lab
from iso15118.sim.powerline.config import EVSE_MODEM
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.pty import serial_modem
from iso15118.sim.powerline.udp import LOOPBACK, UdpHub, udp_hub
from iso15118.sim.powerline.veth import lay_cable, veth_hub
from iso15118.wire import homeplug
from iso15118.wire.homeplug import BROADCAST, Frame

pytestmark = pytest.mark.runtime

HERE = Path(__file__).resolve().parent
PARM = homeplug.write(Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=bytes(8))))
# Every octet there is, in a frame of full length.
FULL = (BROADCAST + EV + bytes.fromhex("88e1018060000000") + bytes(range(256)) * 6)[:1514]


def run(main) -> None:
    """Run a coroutine function; leave nothing behind."""
    asyncio.run(main())


# --- UDP ----------------------------------------------------------------------------------------


class Datagrams(asyncio.DatagramProtocol):
    """A host's socket."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.receive = self.frames.put_nowait

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.receive(data)


@asynccontextmanager
async def client(served: UdpHub) -> AsyncIterator[tuple[asyncio.DatagramTransport, Datagrams]]:
    loop = asyncio.get_running_loop()
    where = (LOOPBACK, served.number)
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=where)
    try:
        yield transport, protocol
    finally:
        transport.close()


def test_frames_over_udp() -> None:
    async def main() -> None:
        medium, _, _ = pair()
        with Hub(medium) as hub:
            async with udp_hub(hub) as served, client(served) as (car, _), client(served) as (charger, heard):
                charger.sendto(b"")  # only to say that it is there
                charger.sendto(homeplug.write(Frame(homeplug.LOCAL_MODEM, EVSE, homeplug.NwInfoReq())))
                async with asyncio.timeout(5):
                    answer = homeplug.read(await heard.frames.get())
                    assert isinstance(answer.message, homeplug.NwInfoCnf)
                    car.sendto(PARM)
                    assert await heard.frames.get() == PARM
                    car.sendto(FULL)
                    assert await heard.frames.get() == FULL

    run(main)


def test_a_host_that_starts_again_gets_its_frames_at_the_new_socket() -> None:
    async def main() -> None:
        medium, _, _ = pair()
        question = homeplug.write(Frame(homeplug.LOCAL_MODEM, EVSE, homeplug.NwInfoReq()))
        with Hub(medium) as hub:
            async with udp_hub(hub) as served:
                for _ in range(2):
                    async with client(served) as (charger, heard), asyncio.timeout(5):
                        charger.sendto(question)
                        await heard.frames.get()

    run(main)


def test_hosts_that_are_not_attached() -> None:
    async def main() -> None:
        medium, _, _ = pair()
        stranger = bytes.fromhex("02cc00000009")
        question = homeplug.write(Frame(homeplug.LOCAL_MODEM, stranger, homeplug.NwInfoReq()))
        with Hub(medium) as hub:
            async with udp_hub(hub) as served, client(served) as (transport, _):
                transport.sendto(question)
                await until(lambda: medium.dropped["unknown host"] == 1)
            admitting = udp_hub(hub, admit=lambda mac: medium.attach(mac, EVSE_MODEM))
            async with admitting as served, client(served) as (transport, heard), asyncio.timeout(5):
                transport.sendto(question)
                await heard.frames.get()
        assert medium.port_of(stranger) is medium.ports[-1]

    run(main)


def test_matching_over_udp() -> None:
    async def main() -> None:
        medium, ev, evse = pair()
        with Hub(medium) as hub:
            async with udp_hub(hub) as served, client(served) as car, client(served) as charger:
                hosts = []
                for mac, (transport, protocol) in ((EVSE, charger), (EV, car)):
                    host = Host(mac, transport.sendto)
                    protocol.receive = host.receive
                    hosts.append(host)
                await match(*hosts)
                assert medium.linked(ev, hub.now)
                assert ev.modem.key == evse.modem.key

    run(main)


# --- in process, in real time -------------------------------------------------------------------


def test_a_hub_delivers_nothing_after_its_end() -> None:
    async def main() -> None:
        medium, ev, evse = pair()
        heard: list[bytes] = []
        hub = Hub(medium)
        hub.connect(evse, heard.append)
        hub.send(ev, PARM)
        await until(lambda: heard)
        hub.send(ev, PARM)
        hub.disconnect(evse)
        await asyncio.sleep(0.01)
        hub.connect(evse, heard.append)
        hub.send(ev, PARM)
        hub.close()
        await asyncio.sleep(0.01)
        assert heard == [PARM]

    run(main)


# --- serial line --------------------------------------------------------------------------------


def test_frames_over_a_serial_line() -> None:
    async def main() -> None:
        medium, ev, evse = pair()
        heard: list[bytes] = []
        with Hub(medium) as hub, serial_modem(hub, evse) as path:
            hub.connect(ev, heard.append)
            line = os.open(path, os.O_RDWR | os.O_NOCTTY)
            os.set_blocking(line, False)
            loop, decoder, frames = asyncio.get_running_loop(), Decoder(), []
            loop.add_reader(line, lambda: frames.extend(decoder.feed(os.read(line, 4096))))
            try:
                report = FULL[:6] + EVSE + FULL[12:]
                for octets in (b"noise", encode(report)[:700], encode(report)[700:], encode(report)):
                    os.write(line, octets)
                    await asyncio.sleep(0.01)
                for _ in range(20):  # more than the line holds at once
                    hub.send(ev, FULL)
                await until(lambda: len(frames) >= 20 and len(heard) >= 2)
                assert frames == [FULL] * 20
                assert heard == [report] * 2
            finally:
                loop.remove_reader(line)
                os.close(line)

    run(main)


def test_matching_with_a_modem_on_a_serial_line() -> None:
    async def main() -> None:
        medium, ev, evse = pair()
        with Hub(medium) as hub, serial_modem(hub, ev) as path:
            line = os.open(path, os.O_RDWR | os.O_NOCTTY)
            loop, decoder = asyncio.get_running_loop(), Decoder()
            car = Host(EV, lambda octets: os.write(line, encode(octets)))
            charger = Host(EVSE, lambda octets: hub.send(evse, octets))
            hub.connect(evse, charger.receive)
            loop.add_reader(line, lambda: [car.receive(f) for f in decoder.feed(os.read(line, 4096))])
            try:
                await match(charger, car)
                assert medium.linked(ev, hub.now)
            finally:
                loop.remove_reader(line)
                os.close(line)

    run(main)


# --- network interfaces -------------------------------------------------------------------------


INTERFACES = """
import asyncio, socket, sys
sys.path.insert(0, {folder!r})
from hosts import EV, EVSE, Host, match, pair
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.veth import lay_cable, veth_hub

GROUP = "ff02::1"

def interface(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88E1))
    sock.bind((name, 0x88E1))
    sock.setblocking(False)
    return sock

def read(sock, host):
    frame, origin = sock.recvfrom(2048)
    if origin[2] != 4:
        host.receive(frame)

async def main():
    loop = asyncio.get_running_loop()
    medium, ev, evse = pair()
    lay_cable("pev", "hev", EV)
    lay_cable("pse", "hse", EVSE)
    with Hub(medium) as hub, veth_hub(hub, {{ev: "hev", evse: "hse"}}):
        discovery = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        discovery.setblocking(False)
        index = socket.if_nametoindex("pse")
        discovery.bind((GROUP, 15118, 0, index))
        car = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        before = medium.dropped["no network"]
        car.sendto(b"too early", (GROUP, 15118, 0, socket.if_nametoindex("pev")))
        with interface("pev") as pev, interface("pse") as pse:
            hosts = [Host(EVSE, pse.send), Host(EV, pev.send)]
            for sock, host in zip((pse, pev), hosts):
                loop.add_reader(sock, read, sock, host)
            await match(*hosts)
            for sock in (pse, pev):
                loop.remove_reader(sock)
        assert medium.dropped["no network"] > before
        # IPv6 with checksums of its own: multicast first, then a stream.
        car.sendto(b"where are you?", (GROUP, 15118, 0, socket.if_nametoindex("pev")))
        async with asyncio.timeout(10):
            data = await loop.sock_recv(discovery, 100)
            assert data == b"where are you?", data
            seen = []
            done = asyncio.Event()
            async def serve(reader, writer):
                seen.append(await reader.read())
                writer.close()
                done.set()
            address = "fe80::cc:ff:fe00:1%pse"
            server = await asyncio.start_server(serve, address, 15118)
            reader, writer = await asyncio.open_connection("fe80::cc:ff:fe00:1%pev", 15118)
            writer.write(b"x" * 20_000)
            writer.write_eof()
            await done.wait()
            writer.close()
            server.close()
            assert seen == [b"x" * 20_000]
        discovery.close()
        car.close()
    print("fine")

asyncio.run(main())
"""


def test_matching_and_ipv6_between_interfaces() -> None:
    reason = lab.problem()
    if reason:
        pytest.skip(reason)
    program = INTERFACES.format(folder=str(HERE))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "iso15118.cli", "lab", "--", sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=50, check=False)
    assert done.stdout.strip() == "fine", done.stderr[-3000:]


def test_what_stands_in_the_way_of_interfaces_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LinkError, match="ip link add name"):
        lay_cable("a name that is too long", "hub", EV)
    monkeypatch.setattr("iso15118.sim.powerline.veth._SEARCH", "/nowhere")
    with pytest.raises(LinkError, match="install the package iproute2"):
        lay_cable("pev", "hev", EV)

    async def main() -> None:
        medium, ev, _ = pair()
        hub = Hub(medium)
        missing = pytest.raises(LinkError, match=r"not permitted|interface nowhere0: No such device")
        with missing, veth_hub(hub, {ev: "nowhere0"}):
            pass

        def refuse(*_: object) -> socket.socket:
            raise PermissionError

        monkeypatch.setattr(socket, "socket", refuse)
        with pytest.raises(LinkError, match="iso15118 lab"), veth_hub(hub, {ev: "nowhere0"}):
            pass

    run(main)
