"""The pump: order, one timer, questions, failures of controllers and machines."""

import asyncio
import math

import pytest
from support import Fake, until

from iso15118.machine import Answer, Ask, Bytes, Close, Do, Emit, LinkUp, Send, Update
from iso15118.runtime.driver import Driver, Ports

pytestmark = pytest.mark.asyncio


async def test_outputs_are_done_in_order_and_each_send_is_one_write():
    done = []
    ports = Ports(
        send=lambda data: done.append(("send", data)),
        emit=lambda event: done.append(("emit", event)),
        command=lambda command: done.append(("do", command)),
    )
    fake = Fake({Bytes: lambda item: [Send(item.data * 2), Emit("e"), Do("c"), Send(b"z")]})
    driver = Driver(fake, ports)
    driver.feed(Bytes(b"a"))
    assert done == [("send", b"aa"), ("emit", "e"), ("do", "c"), ("send", b"z")]
    driver.end()


async def test_the_timer_fires_at_the_deadline_and_not_before():
    loop = asyncio.get_running_loop()
    fake = Fake()
    driver = Driver(fake, Ports())
    due = fake.deadline = loop.time() + 0.05
    driver.feed(LinkUp())
    await until(lambda: fake.ticks)
    assert due <= fake.ticks[0] < due + 0.2
    await asyncio.sleep(0.05)
    assert len(fake.ticks) == 1
    driver.end()


async def test_a_deadline_that_moves_replaces_the_timer():
    loop = asyncio.get_running_loop()
    fake = Fake()
    driver = Driver(fake, Ports())
    fake.deadline = loop.time() + 0.03
    driver.feed(LinkUp())
    fake.deadline = loop.time() + 0.15
    driver.feed(LinkUp())
    await asyncio.sleep(0.08)
    assert not fake.ticks
    fake.deadline = math.inf
    driver.feed(LinkUp())
    await asyncio.sleep(0.12)
    assert not fake.ticks
    driver.end()


async def test_a_question_is_answered_later_and_meanwhile_the_machine_is_served():
    gate = asyncio.Event()

    async def ask(question):
        await gate.wait()
        return question * 2

    fake = Fake({LinkUp: [Ask(21)]})
    driver = Driver(fake, Ports(ask=ask))
    driver.feed(LinkUp())
    driver.feed(Bytes(b"meanwhile"))
    assert fake.inputs == [LinkUp(), Bytes(b"meanwhile")]
    gate.set()
    await until(lambda: fake.got(Answer))
    assert fake.got(Answer) == [Answer(21, 42)]
    await driver.aclose()


async def test_an_exception_of_a_question_is_its_answer():
    failed = []

    async def ask(question):
        raise OSError("backend gone")

    fake = Fake({LinkUp: [Ask("q")]})
    driver = Driver(fake, Ports(ask=ask, question_failed=lambda *args: failed.append(args)))
    driver.feed(LinkUp())
    await until(lambda: fake.got(Answer))
    (answer,) = fake.got(Answer)
    assert isinstance(answer.value, OSError)
    assert failed == [("q", answer.value)]
    await driver.aclose()


async def test_end_cancels_questions_and_timers():
    cancelled = asyncio.Event()

    async def ask(question):
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    fake = Fake({LinkUp: [Ask("q")]})
    fake.deadline = asyncio.get_running_loop().time() + 0.02
    driver = Driver(fake, Ports(ask=ask))
    driver.feed(LinkUp())
    await asyncio.sleep(0)
    await driver.aclose()
    assert cancelled.is_set()
    await asyncio.sleep(0.05)
    driver.feed(LinkUp())
    assert not fake.ticks
    assert fake.inputs == [LinkUp()]


async def test_a_command_that_raises_is_told_and_does_not_stop_the_machine():
    failed, sent = [], []

    def command(_):
        raise ValueError("no relay")

    fake = Fake({LinkUp: [Do("close"), Send(b"x")]})
    ports = Ports(command=command, send=sent.append, command_failed=lambda *args: failed.append(args))
    driver = Driver(fake, ports)
    driver.feed(LinkUp())
    assert sent == [b"x"]
    assert failed[0][0] == "close"
    assert not driver.ended
    driver.end()


async def test_a_command_that_reports_at_once_neither_recurses_nor_holds_the_loop():
    turns = []
    fake = Fake({LinkUp: [Do("c")], Update: [Do("c")]})  # every report makes another command
    driver = Driver(fake, Ports(command=lambda _: driver.feed(Update(1))))
    driver.feed(LinkUp())
    for _ in range(10):
        await asyncio.sleep(0)
        turns.append(len(fake.inputs))
    assert turns == sorted(turns)
    assert turns[-1] <= 2 * len(turns)
    driver.end()


async def test_inputs_keep_their_order_when_they_come_from_within():
    fake = Fake({LinkUp: [Do("c")]})
    driver = Driver(fake, Ports(command=lambda _: (driver.feed(Bytes(b"1")), driver.feed(Bytes(b"2")))))
    driver.feed(LinkUp())
    driver.feed(Bytes(b"3"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert fake.got(Bytes) == [Bytes(b"1"), Bytes(b"2"), Bytes(b"3")]
    driver.end()


async def test_a_machine_that_raises_is_ended_and_told():
    broken = []

    def boom(_):
        raise ZeroDivisionError

    fake = Fake({Bytes: boom})
    driver = Driver(fake, Ports(broken=broken.append))
    driver.feed(Bytes(b"x"))
    assert driver.ended
    assert isinstance(broken[0], ZeroDivisionError)
    driver.feed(Bytes(b"y"))
    assert len(fake.inputs) == 1


@pytest.mark.parametrize("after", [0.0, 0.05])
async def test_close_closes_after_its_delay(after):
    loop = asyncio.get_running_loop()
    closed = []
    driver = Driver(Fake({LinkUp: [Close(after)]}), Ports(close=lambda: closed.append(loop.time())))
    begun = loop.time()
    driver.feed(LinkUp())
    await until(lambda: closed)
    assert after <= closed[0] - begun + 0.001 < after + 0.2
    driver.end()
