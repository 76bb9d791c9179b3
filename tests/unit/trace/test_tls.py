"""TLS in recordings: opened with what was logged, whatever suite, and told where it cannot be."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118 import trace
from iso15118.errors import ConfigError
from iso15118.machine import Send, Update
from iso15118.tls.profile import ISO2, ISO20, POST_QUANTUM
from iso15118.trace.secrets import Secrets
from iso15118.trace.suites import SUITES, UnreadableError
from iso15118.trace.tls import _RETRY, MAX_EARLY, TlsReader
from tests.unit.tls.pair import Pair, identity, settings
from tests.unit.trace.recordings import EV, SECC, Talk, block, enhanced, interface, pcap, section
from tests.unit.trace.test_timeline import CHECK, CHECKED, CHOICE, OFFER, SETUP

EVCC = {"title": "EV", "own": "OEM", "trusts": ("V2G",)}
TLS13 = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256",
]
TLS12 = sorted(
    suite.name for suite in SUITES.values() if suite.name.startswith("ECDHE") and not suite.name.endswith("CCM8")
)  # fmt: skip


class Recorded(Pair):
    """A pair whose session says what a test wants; all octets are kept as (sender, octets), and the key log."""

    def __init__(self, profile, kind="p521", chunk=None, evcc_profile=None):
        self.keys, self.flights = [], []
        one = dataclasses.replace(identity("SECC", "V2G", kind), profile=profile)
        other = dataclasses.replace(identity("EV", "OEM", kind), profile=profile)
        secc = settings(kind=kind, identities=(one,), profiles=(profile,), key_log=self.keys.append)
        evcc = settings(kind=kind, **EVCC | {"identities": (other,), "profiles": (evcc_profile or profile,)})
        super().__init__(secc, evcc, first=OFFER, meddle=self._keep, chunk=chunk)
        for sender, octets in ((self.secc, CHOICE), (self.evcc, SETUP + CHECK), (self.secc, CHECKED)):
            sender.session.out.append(Send(octets))
            sender.receive(Update("x"), 1.0)
            self.drain(sender)
            self.flow()

    def _keep(self, role, octets):
        self.flights.append((role, octets))
        return octets

    @property
    def log(self):
        return "\n".join(self.keys).encode()

    def talk(self):
        talk = Talk().open()
        for role, octets in self.flights:
            for at in range(0, len(octets), 1400):
                talk.say(SECC if role == "SECC" else EV, octets[at : at + 1400])
        return talk


NAMES = [
    "supportedAppProtocolReq",
    "supportedAppProtocolRes",
    "SessionSetupReq",
    "DC_CableCheckReq",
    "DC_CableCheckRes",
]


def names(items):
    return [i.message.__schema__.tag if i.message is not None else i.error for i in items]


def opened(recorded, secrets=None):
    """What each side said, from the octets alone."""
    known = Secrets()
    known.add(recorded.log if secrets is None else secrets)
    reader, said = TlsReader(known), {"SECC": b"", "EVCC": b""}
    for role, octets in recorded.flights:
        for plain in reader.feed(role, octets):
            said[role] += plain
    assert said == {"EVCC": OFFER + SETUP + CHECK, "SECC": CHOICE + CHECKED}
    return reader


@pytest.mark.parametrize("name", TLS13)
def test_tls_1_3(name):
    recorded = Recorded(dataclasses.replace(ISO20, tls13_suites=(name,)))
    assert opened(recorded).suite == name


@pytest.mark.parametrize("name", TLS12)
def test_tls_1_2(name):
    recorded = Recorded(dataclasses.replace(ISO2, tls12_suites=(name,)), "p256")
    assert {line.split()[0] for line in recorded.keys} == {"CLIENT_RANDOM"}
    assert opened(recorded).suite == name


def test_a_hello_retry_and_any_chunking():
    recorded = Recorded(ISO20, evcc_profile=POST_QUANTUM)
    assert any(_RETRY in octets for role, octets in recorded.flights if role == "SECC")
    opened(recorded)
    whole = recorded.flights
    recorded.flights = [(role, octets[i : i + 1]) for role, octets in whole for i in range(len(octets))]
    opened(recorded)


def test_key_update_is_followed():
    recorded = Recorded(ISO20)
    known = Secrets()
    known.add(recorded.log)
    reader = TlsReader(known)
    for role, octets in recorded.flights:
        list(reader.feed(role, octets))
    lane = reader._lanes["SECC"]
    suite = SUITES[0x1302]
    following = suite.expand(lane.secret, "traffic upd", 48)
    list(reader._messages(lane, b"\x18\x00\x00\x01\x00"))
    assert lane.secret == following
    sealed = sealed13(suite, following, 0, b"\x17", CHECKED)
    assert list(reader.feed("SECC", sealed)) == [CHECKED]


def sealed13(suite, secret, number, kind, content):
    """A record of TLS 1.3, made by hand."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, iv = suite.expand(secret, "key", suite.key_size), suite.expand(secret, "iv", 12)
    nonce = (int.from_bytes(iv) ^ number).to_bytes(12)
    header = b"\x17\x03\x03" + struct.pack(">H", len(content) + 1 + 3 + 16)
    return header + AESGCM(key).encrypt(nonce, content + kind + bytes(3), header)


def test_encrypt_then_mac():
    """Our library does not negotiate it here; the record is made by hand (RFC 7366)."""
    import hmac

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    from iso15118.trace.suites import _prf

    suite, master, seed = SUITES[0xC023], bytes(range(48)), bytes(64)
    opener = suite.opener12(master, seed, client=True, mac_last=True)
    keys = _prf(master, b"key expansion" + seed, 96, "sha256")
    mac_key, key = keys[:32], keys[64:80]
    padded = b"hello" + bytes([10] * 11)
    sealed = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    body = bytes(16) + sealed.update(padded) + sealed.finalize()
    head = bytes(8) + b"\x17\x03\x03" + struct.pack(">H", len(body))
    mac = hmac.digest(mac_key, head + body, "sha256")
    assert opener.open(23, b"", body + mac) == (23, b"hello")
    with pytest.raises(UnreadableError, match="not authentic"):
        opener.open(23, b"", body + mac)  # its number is another one now


# --- in recordings ----------------------------------------------------------------------------


@pytest.fixture
def recorded():
    return Recorded(ISO20)


def test_a_capture_with_a_key_log_file(recorded, tmp_path):
    capture, keys = tmp_path / "a.pcap", tmp_path / "keys"
    capture.write_bytes(pcap(recorded.talk().frames))
    (told,) = trace.open(capture)
    assert told.error == "a TLS connection: its messages are encrypted, and no key log was given"
    keys.write_bytes(b"# SSL/TLS secrets log file\n" + recorded.log)
    items = list(trace.open(capture, keys))
    assert names(items) == NAMES
    assert [i.src for i in items] == [EV, SECC, EV, EV, SECC]
    assert [i.payload_type for i in items] == [0x8001, 0x8001, 0x8002, 0x8004, 0x8004]


@pytest.mark.parametrize("order", ["<", ">"])
def test_secrets_in_a_block_of_the_capture(recorded, tmp_path, order):
    secrets = struct.pack(order + "II", 0x544C534B, len(recorded.log)) + recorded.log
    frames = b"".join(enhanced(data, int(t * 1e6), order) for t, data in recorded.talk().frames)
    foreign = block(order, 10, struct.pack(order + "II", 0x57474B4C, 4) + b"WGKL")
    whole = section(order) + interface(order) + foreign + frames + block(order, 10, secrets)
    (tmp_path / "a.pcapng").write_bytes(whole)
    assert names(trace.open(tmp_path / "a.pcapng")) == NAMES


def test_secrets_that_a_test_device_sends_along(recorded, tmp_path):
    talk = recorded.talk()
    for line in recorded.keys:
        talk.datagram(SECC, ("ff02::1", 52345), line.encode())
    (tmp_path / "a.pcap").write_bytes(pcap(talk.frames))
    assert names(trace.open(tmp_path / "a.pcap")) == NAMES
    (tmp_path / "damaged.pcap").write_bytes(pcap(talk.frames)[:-3])
    assert "cut short" in names(trace.open(tmp_path / "damaged.pcap"))[-1]


def told(talk, log=b""):
    from iso15118.trace.pcap import CapturedFrame
    from iso15118.trace.timeline import timeline

    known = Secrets()
    known.add(log)
    items = timeline((CapturedFrame(t, 1, data) for t, data in talk.frames), lambda: known)
    return names(items)


def test_what_stands_in_the_way_is_told(recorded):
    other = re.sub(rb" [0-9a-f]{96}", b" " + b"00" * 48, recorded.log)
    assert told(recorded.talk(), other) == ["a TLS connection: a record is not authentic with this secret"]
    part = b"\n".join(line for line in recorded.log.splitlines() if b"TRAFFIC_SECRET_0" not in line)
    (missing,) = told(recorded.talk(), part)
    assert "the key log has no CLIENT_TRAFFIC_SECRET_0 for it" in missing
    talk = recorded.talk()
    del talk.frames[-3]
    assert "octets are missing in the recording" in " ".join(told(talk, recorded.log))


def test_a_recording_that_begins_within(recorded):
    talk = Talk()
    for role, octets in recorded.flights[4:]:
        talk.say(SECC if role == "SECC" else EV, octets)
    assert told(talk, recorded.log) == ["a TLS connection: its handshake is not in the recording"]


def test_a_refusal_is_told_with_its_alert():
    from tests.unit.tls.pair import settings as sides

    keys, flights = [], []
    Pair(
        sides(),
        sides(**EVCC | {"own": "STRANGER", "key_log": keys.append}),
        meddle=lambda role, octets: flights.append((role, octets)) or octets,
    )
    talk = Talk().open()
    for role, octets in flights:
        talk.say(SECC if role == "SECC" else EV, octets)
    assert told(talk, "\n".join(keys).encode())[-1] == (
        "a TLS connection: the server ended it with alert 48, unknown_ca"
    )


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\x16\x03\x01\xff\xff", "no TLS record"),
        (b"\x16\x09\x01\x00\x05", "no TLS record"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "alert 40, handshake_failure"),
        (b"\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" + bytes(32) + b"\x00\x00\x05\x00\x00\x00", "suite 0x0005"),
    ],
)  # fmt: skip
def test_strange_octets_are_told(octets, reason):
    with pytest.raises(UnreadableError, match=reason):
        list(TlsReader(Secrets()).feed("x", octets))


@given(st.integers(0, 6000), st.binary(min_size=1, max_size=60), st.booleans())
def test_damage_anywhere_is_told_or_changes_nothing_else(at, noise, cut):
    recorded = _shared()
    stream = b"".join(octets for role, octets in recorded.flights if role == "SECC")
    at %= len(stream)
    damaged = stream[:at] + noise + (b"" if cut else stream[at + len(noise) :])
    known = Secrets()
    known.add(recorded.log)
    reader = TlsReader(known)
    said = b""
    with contextlib.suppress(UnreadableError):
        list(reader.feed("EVCC", recorded.flights[0][1]))
        for plain in reader.feed("SECC", damaged):
            said += plain
    assert (CHOICE + CHECKED).startswith(said)


@functools.cache
def _shared():
    return Recorded(ISO20)


def test_what_waits_for_the_other_side_is_bounded(recorded):
    reader = TlsReader(Secrets())
    hello = next(octets for role, octets in recorded.flights if role == "EVCC")
    list(reader.feed("EVCC", hello))
    with pytest.raises(UnreadableError, match="not in the recording"):
        list(reader.feed("EVCC", b"\x17\x03\x03\x00\x01x" * (MAX_EARLY + 1)))


# --- key logs ---------------------------------------------------------------------------------


def test_key_logs(tmp_path):
    secrets = Secrets()
    random = "AB" * 32
    secrets.add(
        f"CLIENT_RANDOM {random} {'cd' * 48}\nCLIENT_RANDOM zz 00\nEXPORTER_SECRET {random} 00".encode()
    )
    assert len(secrets) == 1
    assert secrets.get("CLIENT_RANDOM", bytes.fromhex(random)) == bytes.fromhex("cd" * 48)
    assert secrets.get("CLIENT_RANDOM", bytes(32)) is None
    assert "cd" not in repr(secrets)
    with pytest.raises(ConfigError, match="No such file"):
        secrets.add_file(tmp_path / "no")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ConfigError, match="no line of a key log"):
        secrets.add_file(tmp_path / "text")


def test_the_command_line(recorded, tmp_path, capsys):
    from iso15118.cli.main import OK, USAGE, main

    capture, keys = tmp_path / "a.pcap", tmp_path / "keys"
    capture.write_bytes(pcap(recorded.talk().frames))
    keys.write_bytes(recorded.log)
    assert main(["decode", str(capture), "--keylog", str(keys)]) == OK
    assert "DC_CableCheckRes" in capsys.readouterr().out
    assert main(["decode", str(capture)]) == OK
    assert "no key log was given" in capsys.readouterr().out
    assert main(["decode", str(capture), "--keylog", str(tmp_path / "no")]) == USAGE
    assert "keylog: No such file" in capsys.readouterr().err
    assert main(["decode", CHECK.hex(), "--keylog", str(keys)]) == USAGE
    assert "this is none" in capsys.readouterr().err


def test_our_own_machines_leave_sessions_that_can_be_read():
    """From the simulation's wire and key log back to its messages."""
    from iso15118.events import MessageSent
    from iso15118.sim.run import simulate
    from iso15118.sim.tls import credentials

    lines = []
    secc = dataclasses.replace(credentials().secc, key_log=lines.append)
    run = simulate("DC", seed=2, loops=3, tls=dataclasses.replace(credentials(), secc=secc))
    talk = Talk().open()
    for _, role, octets in run.recording.wire:
        talk.say(SECC if role == "SECC" else EV, octets)
    sent = [e.message.__schema__.tag for e in run.events if isinstance(e, MessageSent)]
    assert told(talk, "\n".join(lines).encode()) == sent
