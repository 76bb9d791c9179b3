"""Fixtures of the runtime tests: IPv6 on loopback, and nothing left running afterwards."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 on the loopback interface: {error}")


@pytest.fixture
def nothing_left():
    """Called at the end of a test: no task but the test's own may be left."""

    async def check():
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        gc.collect()  # an unclosed transport warns, and warnings are errors
        assert not left, left

    return check
