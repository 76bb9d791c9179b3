"""TLS between the two sides of a simulated session, through memory.

Keys of a connection, nonces and signatures come from the TLS library's own chance, as they must; certificates and all
that a session does follow from seeds.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from certs.pki import TestPki
from hal.virtual.bench import EPOCH_S
from iso15118.events import Role
from iso15118.machine import Entropy, Machine, Utc
from iso15118.runtime.security import Security, settings
from iso15118.sim.world import MakeMachine
from iso15118.tls.engine import TlsFacts
from iso15118.tls.machine import TlsMachine

MakeSession = Callable[[Entropy, Utc, TlsFacts | None], Machine]

CURVE: Final = "ed448"
"""Its signatures have one length, those of the other curve differ by an octet or two from run to run."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What both sides show and believe: `Credentials(secc=Security(pki.secc(defect="expired")), evcc=...)`."""

    secc: Security
    evcc: Security


@functools.cache
def credentials() -> Credentials:
    """Good ones, from one PKI for the whole process, valid at the time every world begins."""
    pki = simulated_pki()
    return Credentials(Security(pki.secc()), Security(pki.vehicle()))


@functools.cache
def simulated_pki() -> TestPki:
    """The PKI they come from: whoever wants a defect has it issued here."""
    return TestPki(datetime.datetime.fromtimestamp(EPOCH_S, datetime.UTC), curve=CURVE, seed="tls")


def behind_tls(role: Role, security: Security, make: MakeSession) -> MakeMachine:
    """What makes a side's machine: a session of `make` behind TLS."""

    def made(entropy: Entropy, utc: Utc) -> Machine:
        return TlsMachine(role, settings(role, security, utc), lambda facts: make(entropy, utc, facts), utc)

    return made
