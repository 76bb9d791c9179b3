"""The `iso15118` program: finds the command, runs it, turns errors into exit codes.

A command's module is imported only when it is called, so that help and completion are immediate.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from hal.errors import HalError, Kind
from iso15118.errors import ConfigError, Iso15118Error

OK: Final = 0
FAILED: Final = 1
"""What was asked for did not work: a session failed, bytes cannot be decoded."""
USAGE: Final = 2
"""The call itself is wrong: unknown options, unusable configuration."""

_WRONG_CALL: Final = (Kind.CONFIGURATION, Kind.MISSING_EXTRA, Kind.OUT_OF_RANGE)

COMMANDS: Final = MappingProxyType(
    {
        "demo": "a bidirectional DC session, car and charger in this process",
        "simulate": "one or many simulated sessions under virtual time, with faults on request",
        "charger": "a charger (SECC) on a network interface",
        "vehicle": "a car (EVCC) on a network interface",
        "doctor": "look at interface, modem, devices, clock and certificates before anything starts",
        "lab": "run a command between two joined virtual network interfaces (Linux, no root)",
        "slac": "what cars, chargers and modems say on the powerline, live or recorded",
        "decode": "V2GTP frames, EXI or a capture file into JSON or XML",
        "encode": "JSON or XML into EXI or a V2GTP frame",
        "explain": "what every bit of an EXI message means",
        "pki": "certificates for Plug & Charge: make, issue, show, check, renew",
    }
)
"""Name and one line of help; the module is `iso15118.cli.<name>`."""


class UsageError(Exception):
    """The arguments do not fit together; the text tells what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and lets no error of this package escape."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _prepare_stdout()
    try:
        return _dispatch(arguments)
    except UsageError as error:
        print(f"iso15118: {error}", file=sys.stderr)
        return USAGE
    except Iso15118Error as error:
        print(f"iso15118: {error.diagnostics()}", file=sys.stderr)
        return USAGE if isinstance(error, ConfigError) else FAILED
    except HalError as error:
        print(f"iso15118: {error.diagnostics()}", file=sys.stderr)
        return USAGE if error.kind in _WRONG_CALL else FAILED
    except BrokenPipeError:
        _abandon_stdout()
        return FAILED
    except KeyboardInterrupt:
        print("iso15118: interrupted", file=sys.stderr)
        return FAILED


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return OK if arguments else USAGE
    if arguments[0] in ("-V", "--version"):
        print(f"iso15118-stack {_version()}")
        return OK
    name = arguments[0]
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}{_nearest(name)}; `iso15118 --help` lists them")
    return _run(name, arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    import argparse

    module = importlib.import_module(f"iso15118.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"iso15118 {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    try:
        namespace = parser.parse_args(arguments)
    except SystemExit as leave:  # argparse ends the process by itself for --help and for errors
        return leave.code if isinstance(leave.code, int) else USAGE
    code: int = module.run(namespace)
    sys.stdout.flush()
    return code


def _overview() -> str:
    rows = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: iso15118 COMMAND [options]",
            "",
            "ISO 15118-20 for chargers and vehicles.",
            "",
            "commands:",
            *rows,
            "",
            "`iso15118 COMMAND --help` tells more. Exit codes: 0 done, 1 failed, 2 wrong call.",
        ]
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("iso15118-stack")
    except PackageNotFoundError:
        return "(not installed)"


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _prepare_stdout() -> None:
    """Documents go out as UTF-8; a terminal that cannot show a character gets its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def _abandon_stdout() -> None:
    """The reader has gone (`... | head`): what Python flushes at exit must not fail once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
