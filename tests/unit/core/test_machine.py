"""The timer book."""

from __future__ import annotations

from iso15118.machine import NEVER, TimerBook


def test_an_empty_book_has_no_deadline() -> None:
    book = TimerBook()
    assert book.deadline == NEVER
    assert book.expired(1e9) == []
    assert not book.running("a")


def test_timers_expire_once_and_in_order() -> None:
    book = TimerBook()
    book.start("late", 5.0, 10.0)
    book.start("early", 1.0, 10.0)
    book.start("later", 9.0, 10.0)
    assert book.deadline == 11.0
    assert book.expired(10.9) == []
    assert book.expired(15.0) == ["early", "late"]
    assert not book.running("late")
    assert book.expired(15.0) == []
    assert book.deadline == 19.0


def test_a_timer_is_due_at_its_deadline() -> None:
    book = TimerBook()
    book.start("a", 0.1, 0.2)
    assert book.expired(book.deadline) == ["a"]


def test_start_restarts_and_start_once_does_not() -> None:
    book = TimerBook()
    book.start("a", 1.0, 0.0)
    book.start_once("a", 1.0, 0.5)
    assert book.deadline == 1.0
    book.start("a", 1.0, 0.5)
    assert book.deadline == 1.5
    book.start_once("b", 0.2, 1.0)
    assert book.deadline == 1.2


def test_stop() -> None:
    book = TimerBook()
    for name in "abcd":
        book.start(name, 1.0, 0.0)
    book.stop("a", "b", "unknown")
    assert not book.running("a")
    assert book.running("c")
    book.stop_all()
    assert book.deadline == NEVER


def test_books_share_nothing() -> None:
    one, other = TimerBook(), TimerBook()
    one.start("a", 1.0, 0.0)
    assert not other.running("a")
