"""Thousands of messages in one go: JSON lines in, JSON lines out, one line at a time.

A line that cannot be used becomes an error object and never ends the run. The output keeps the
order of the input, one line for each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

from iso15118.cli.inputs import from_hex, is_hex
from iso15118.cli.main import OK, UsageError
from iso15118.errors import Iso15118Error

MAX_LINE: Final = 16 * 1024 * 1024
"""Octets. The largest schema-valid messages stay below 1 MiB of XML."""

Record = dict[str, Any]


class BadRecord(Exception):
    """A line that is no usable record; the text says why."""


def run(source: str | None, convert: Callable[[Record], Record]) -> int:
    """Apply `convert` to every line of `source` (a file, `-` or None for standard input).

    `convert` returns the result fields without the id. Errors are data: the exit code is 0 when every
    line was answered.
    """
    with _open(source) as stream:
        for number, line in _lines(stream):
            print(
                json.dumps(_answer(number, line, convert), separators=(",", ":")),
                flush=True,
            )
    return OK


def exi_field(record: Record) -> bytes:
    """The `exi` field as octets."""
    text = text_field(record, "exi")
    if text and not is_hex(text):
        raise BadRecord("exi is not hexadecimal text")
    return from_hex(text)


def text_field(record: Record, name: str) -> str:
    """A text field that must be there."""
    value = record.get(name)
    if not isinstance(value, str):
        raise BadRecord(f"{name} is missing" if value is None else f"{name} is not text")
    return value


def fragment_field(record: Record) -> bool:
    """The optional `fragment` field."""
    value = record.get("fragment", False)
    if not isinstance(value, bool) and value is not None:
        raise BadRecord("fragment is neither true nor false")
    return bool(value)


def _answer(number: int, line: bytes | None, convert: Callable[[Record], Record]) -> Record:
    try:
        record = _record(line)
    except BadRecord as error:
        return {"id": None, "error": f"line {number}: {error}", "line": number}
    identity = {"id": record.get("id")}
    try:
        return identity | convert(record)
    except BadRecord as error:
        return identity | {"error": f"line {number}: {error}", "line": number}
    except Iso15118Error as error:
        return identity | {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - one line must not end the run; it is reported as our fault
        return identity | {"error": f"internal error: {type(error).__name__}: {error}", "line": number}


def _record(line: bytes | None) -> Record:
    if line is None:
        raise BadRecord(f"longer than {MAX_LINE} octets")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BadRecord("not a JSON object")
    return record


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines that are not blank; None in place of one that is too long."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip():
            yield number, line


def _open(source: str | None) -> AbstractContextManager[BinaryIO]:
    if source in (None, "-"):
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(str(source)).open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}") from error
