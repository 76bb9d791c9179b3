"""Run a command in a private network with two joined interfaces, without root (Linux).

Charger and car find each other over `vse` and `vev` as over a charging cable; each end has a link-local
IPv6 address. All of it is gone when the command ends; its exit code is handed on.

  iso15118 pki init pki/
  iso15118 lab -- sh -c 'iso15118 charger --interface vse --once --pki pki/ &
                         iso15118 vehicle --interface vev --once --pki pki/; wait'
"""

from __future__ import annotations

import argparse

from iso15118.cli.main import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of `iso15118 lab`."""
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code is ours."""
    from iso15118.runtime.lab import lab

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("name the command to run: iso15118 lab -- CMD ...")
    return lab(command)
