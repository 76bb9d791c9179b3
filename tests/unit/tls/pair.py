"""Two TLS machines joined in memory, with a session that echoes, and certificates made on the spot."""

from __future__ import annotations

import datetime
import functools
from collections import deque

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iso15118.machine import NEVER, Bytes, Close, Emit, LinkUp, PeerClosed, Send, Update
from iso15118.tls.identity import Identity, TlsSettings
from iso15118.tls.machine import TlsMachine
from iso15118.tls.profile import ISO2, ISO20

NOW = 1_790_000_000.0
DAY = 86_400.0
KEYS = {
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed448": ed448.Ed448PrivateKey.generate,
}


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(subject, key, issuer=None, issuer_key=None, *, ca=False, since=-DAY, until=90 * DAY, extensions=()):
    issuer_key = issuer_key or key
    at = datetime.datetime.fromtimestamp
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at(NOW + since, datetime.UTC))
        .not_valid_after(at(NOW + until, datetime.UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    digest = None
    if isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        digest = hashes.SHA512() if issuer_key.curve.key_size == 521 else hashes.SHA256()
    return builder.sign(issuer_key, digest)


def root(title, kind="p521"):
    return _root(title, kind)


@functools.cache
def _root(title, kind):
    key = KEYS[kind]()
    return issue(title, key, ca=True), key


def identity(title, root_title, kind="p521", *, status=b"", profile=None, **options):
    anchor, anchor_key = root(root_title, kind)
    key = KEYS[kind]()
    leaf = issue(title, key, root_title, anchor_key, **options)
    profile = profile or (ISO2 if kind == "p256" else ISO20)
    return Identity((der(leaf),), key, anchor.subject.public_bytes(), status, profile)


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


def settings(title="SECC", own="V2G", trusts=("OEM",), kind="p521", **changes):
    values = {
        "identities": (identity(title, own, kind),),
        "roots": tuple(der(root(t, kind)[0]) for t in trusts),
        "profiles": (ISO2 if kind == "p256" else ISO20,),
    }
    return TlsSettings(**{**values, **changes})


class Echo:
    """A session: says hello at LinkUp where told to, keeps what it hears, closes on "bye"."""

    def __init__(self, facts, first=b""):
        self.facts, self.first = facts, first
        self.heard = b""
        self.items = []
        self.out = []
        self.deadline = NEVER

    def receive(self, item, now):
        self.items.append(item)
        if isinstance(item, LinkUp) and self.first:
            self.out.append(Send(self.first))
        elif isinstance(item, Bytes):
            self.heard += item.data
            if item.data == b"bye":
                self.out.append(Close(after=0.5))
        elif isinstance(item, Update) and item.state == "say":
            self.out.append(Send(b"said"))

    def tick(self, now):
        pass

    def outputs(self):
        out, self.out = self.out, []
        return iter(out)


class Pair:
    """A vehicle and a station on a wire that can be watched and meddled with."""

    def __init__(self, secc, evcc, first=b"hello", meddle=None, chunk=None):
        utc = lambda: NOW + self.now  # noqa: E731
        self.now = 0.0
        self.secc = TlsMachine("SECC", secc, Echo, utc)
        self.evcc = TlsMachine("EVCC", evcc, functools.partial(Echo, first=first), utc)
        self.events, self.closed = [], {}
        self.wire = deque()
        self.sent = {"SECC": b"", "EVCC": b""}
        self.meddle, self.chunk = meddle or (lambda _, octets: octets), chunk
        for machine in (self.secc, self.evcc):
            machine.receive(LinkUp(), 0.0)
            self.drain(machine)
        self.flow()

    def drain(self, machine):
        for out in machine.outputs():
            if isinstance(out, Send):
                self.sent[machine.role] += out.data
                self.wire.append((machine, self.meddle(machine.role, out.data)))
            elif isinstance(out, Emit):
                self.events.append(out.event)
            elif isinstance(out, Close) and machine.role not in self.closed:
                self.closed[machine.role] = self.now + out.after
                self.wire.append((machine, None))

    def flow(self):
        while self.wire:
            sender, octets = self.wire.popleft()
            other = self.secc if sender is self.evcc else self.evcc
            if octets is None:
                other.receive(PeerClosed(), self.now)
            else:
                size = self.chunk or max(len(octets), 1)
                for start in range(0, len(octets), size):
                    other.receive(Bytes(octets[start : start + size]), self.now)
                    self.drain(other)
            self.drain(other)

    def at(self, now):
        self.now = now
        for machine in (self.secc, self.evcc):
            if machine.deadline <= now:
                machine.tick(now)
                self.drain(machine)
        self.flow()

    def told(self, kind, role=None):
        return [e for e in self.events if type(e).__name__ == kind and role in (None, e.role)]
