"""A charging cable without hardware: a private network with two joined interfaces (Linux, no root).

`lab(["python", "my_test.py"])` runs a command that sees `vev` (vehicle end) and `vse` (station end), both
up with a usable link-local address, and nothing else of the world. It disappears with the last process in
it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from iso15118.errors import LinkError

EV_INTERFACE: Final = "vev"
EVSE_INTERFACE: Final = "vse"
NOT_READY: Final = 125
"""Exit code where the interfaces could not be made inside the namespace; the reason is on stderr."""

_SBIN: Final = "/usr/sbin:/sbin"
_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

# Duplicate address detection is off where the system lets us, so that addresses are usable at once;
# elsewhere it takes up to two seconds. Neither end ever has a router.
_SETUP: Final = f"""
fail() {{ echo "lab: $1" >&2; exit {NOT_READY}; }}
ip link set lo up || fail "cannot bring the loopback interface up"
ip link add {EV_INTERFACE} type veth peer name {EVSE_INTERFACE} || fail "cannot make a veth pair (kernel module veth)"
for end in {EV_INTERFACE} {EVSE_INTERFACE}; do
  for setting in accept_dad=0 router_solicitations=0 disable_ipv6=0; do
    echo "${{setting#*=}}" 2>/dev/null > "/proc/sys/net/ipv6/conf/$end/${{setting%=*}}" || true
  done 2>/dev/null
  ip link set "$end" up || fail "cannot bring $end up"
done
for end in {EV_INTERFACE} {EVSE_INTERFACE}; do
  tries=0
  until ip -6 address show dev "$end" scope link -tentative 2>/dev/null | grep -q "inet6 fe80"; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || fail "$end gets no IPv6 link-local address (is IPv6 off?)"
    sleep 0.05
  done
done
exec "$@"
"""


def lab(command: Sequence[str]) -> int:
    """Run `command` in the private network; returns its exit code (128 + n where signal n ended it).

    SIGTERM, SIGHUP and SIGINT are handed on. Raises LinkError where the system cannot provide it.
    """
    if not command:
        raise LinkError("the lab needs a command to run")
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"}
    namespace = _namespace(environment["PATH"])
    child = subprocess.Popen(  # noqa: S603 - running the caller's command is the purpose
        [*namespace, "sh", "-c", _SETUP, "lab", *command], env=environment
    )
    with _forwarding(child):
        code = child.wait()
    return 128 - code if code < 0 else code


def problem() -> str:
    """Why there can be no lab on this machine; empty where there can."""
    try:
        _namespace(f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")
    except LinkError as error:
        return str(error)
    return ""


def _namespace(path: str) -> list[str]:
    """The command that enters new namespaces. Raises LinkError naming what is missing."""
    tools = {"unshare": "util-linux", "ip": "iproute2", "sh": "dash or another POSIX shell"}
    for tool, package in tools.items():
        if shutil.which(tool, path=path) is None:
            raise LinkError(f"the lab needs the program {tool!r}; install the package {package} (Linux only)")
    unshare = shutil.which("unshare", path=path) or "unshare"
    complaint = ""
    # Without root a user namespace gives the right to make interfaces; root may do without.
    for options in ("-Urn", "-n"):
        probe = subprocess.run(  # noqa: S603 - fixed arguments
            [unshare, options, "true"], capture_output=True, text=True, check=False
        )
        if probe.returncode == 0:
            return [unshare, options]
        complaint = complaint or probe.stderr.strip()
    raise LinkError(
        f"this system permits no private network namespace ({complaint}). Run as root, allow user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), "
        "or start the container with --cap-add SYS_ADMIN"
    )


@contextmanager
def _forwarding(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand signals on to `child` while the block runs."""

    def forward(number: int, _: FrameType | None) -> None:
        # Ctrl-C at a terminal reaches the whole foreground group, the child included.
        if number != signal.SIGINT or not _in_foreground():
            child.send_signal(number)

    before: dict[signal.Signals, Any] = {}
    try:
        for number in _FORWARDED:
            before[number] = signal.signal(number, forward)
    except ValueError:  # not the main thread: signals are not ours to handle
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether our process group owns the terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
