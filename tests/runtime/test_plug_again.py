"""A plug that is closed and opened again, as at the next plug-in of the same vehicle."""

import pytest
from support import until

from iso15118.config import EvPlugConfig, SlacConfig
from iso15118.control import ev
from iso15118.plug.ev import EvPlug
from iso15118.plug.words import EvLevels, PlugState
from iso15118.runtime.plug import Plug, PlugDriver
from iso15118.runtime.session import Hardware

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]


async def nobody_asks(question):
    raise AssertionError(question)


async def test_the_link_is_told_each_time():
    events = []
    hardware = Hardware(lambda command: None, nobody_asks, ev.Deenergise)
    machine = EvPlug(EvPlugConfig(settle_s=0.01))
    driver = PlugDriver(machine, SlacConfig(), Plug(), hardware, events.append, lambda on: None)
    for _ in range(2):
        events.clear()
        await driver.open()
        driver.update(EvLevels(duty=5.0))
        await until(lambda: "LINKED" in [e.state for e in events if isinstance(e, PlugState)])
        driver.update(EvLevels(duty=None))
        await driver.close()
