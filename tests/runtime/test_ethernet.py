"""Listening to a real interface, in a private network."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from iso15118.runtime import lab
from iso15118.wire import homeplug
from iso15118.wire.homeplug import BROADCAST, Frame

EV = bytes.fromhex("02ee00000001")
QUESTION = homeplug.write(Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=bytes(8))))

# "vev" and "vse" are the two ends of the lab's cable.
PROGRAM = """
import socket, subprocess, sys, time
sniffer = [sys.executable, "-m", "iso15118.cli", "slac", "sniff", "--json", "--count", "2", "--interface"]
running = [subprocess.Popen([*sniffer, name], stdout=subprocess.PIPE) for name in ("vev", "vse")]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
    sender.bind(("vev", 0x88E1))
    while any(process.poll() is None for process in running):
        sender.send(bytes.fromhex({frame!r}))
        time.sleep(0.05)
for process in running:
    sys.stdout.write(process.stdout.read().decode())
sys.exit(max(process.returncode for process in running))
"""


@pytest.mark.runtime
def test_what_others_send_and_what_we_send_ourselves() -> None:
    reason = lab.problem()
    if reason:
        pytest.skip(reason)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = PROGRAM.format(frame=QUESTION.hex())
    command = [sys.executable, "-m", "iso15118.cli", "lab", "--", sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 4
    assert {record["name"] for record in records} == {"CM_SLAC_PARM.REQ"}
