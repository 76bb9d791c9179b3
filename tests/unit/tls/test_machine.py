"""Vehicle and station over TLS in memory: what is agreed, and how everything else is refused."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from iso15118.events import EndReason
from iso15118.machine import Bytes, Close, LinkUp, PeerClosed, Send, Stop, Update
from iso15118.tls.client_hello import BY_CERTIFICATE, BY_KEY, TrustedCa
from iso15118.tls.identity import TlsSettings, choose, hashes_of, name_key
from iso15118.tls.machine import MAX_HANDSHAKE, TlsMachine
from iso15118.tls.profile import ISO2, ISO20, LAB_P256, POST_QUANTUM, TlsProfile, Version
from tests.unit.tls.pair import DAY, NOW, Echo, Pair, der, identity, root, settings

EV = {"title": "EV", "own": "OEM", "trusts": ("V2G",)}


def pair(kind="p521", secc=None, evcc=None, **options):
    return Pair(settings(kind=kind, **(secc or {})), settings(kind=kind, **{**EV, **(evcc or {})}), **options)


@pytest.mark.req("V2G20-2458")
@pytest.mark.req("V2G20-2674")
@pytest.mark.parametrize("kind", ["p521", "ed448"])
def test_mutual_tls13_with_the_profile_of_part_20(kind):
    joined = pair(kind)
    assert joined.secc.session.heard == b"hello"
    for role in ("SECC", "EVCC"):
        (told,) = joined.told("TlsEstablished", role)
        assert (told.version, told.suite) == ("TLS13", "TLS_AES_256_GCM_SHA384")
        assert told.group == "secp521r1"
        assert told.peer_name == ("EV" if role == "SECC" else "SECC")
    assert x509.load_der_x509_certificate(joined.secc.session.facts.peer).subject.rfc4514_string() == "CN=EV"
    assert (
        x509.load_der_x509_certificate(joined.evcc.session.facts.peer).subject.rfc4514_string() == "CN=SECC"
    )


@pytest.mark.req("V2G20-2459")
def test_the_second_suite_serves_who_has_only_that():
    only = dataclasses.replace(ISO20, tls13_suites=("TLS_CHACHA20_POLY1305_SHA256",))
    joined = pair(evcc={"profiles": (only,)})
    assert joined.told("TlsEstablished", "SECC")[0].suite == "TLS_CHACHA20_POLY1305_SHA256"


@pytest.mark.req("V2G20-2401")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_regression_03_the_station_names_the_roots_it_accepts():
    joined = pair(secc={"trusts": ("OEM", "V2G")})
    names = joined.evcc._engine._connection.get_client_ca_list()
    assert [n.CN for n in names] == ["OEM", "V2G"]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_any_chunking(size):
    assert pair(chunk=size).secc.session.heard == b"hello"


def test_snapshots_before_the_handshake_reach_the_session():
    joined = pair()
    machine = TlsMachine("SECC", settings(), Echo, lambda: NOW)
    machine.receive(Update("levels"), 0.0)
    machine.receive(LinkUp(), 0.0)
    other = TlsMachine("EVCC", settings(**EV), Echo, lambda: NOW)
    joined.secc, joined.evcc = machine, other
    other.receive(LinkUp(), 0.0)
    joined.drain(other)
    joined.flow()
    assert [type(i) for i in machine.session.items] == [Update, LinkUp]


def test_long_messages_pass_whole():
    message = bytes(range(256)) * 400
    assert pair(first=message).secc.session.heard == message


def test_orderly_end_says_close_notify_on_both_sides():
    joined = pair(first=b"bye")
    assert not joined.closed
    joined.at(0.5)
    assert joined.closed["SECC"] == 1.5
    assert isinstance(joined.evcc.session.items[-1], PeerClosed)
    assert not joined.told("TlsTruncated", "EVCC")


def test_two_sides_that_have_said_goodbye_wait_for_nothing():
    joined = pair(first=b"bye")  # the station closes half a second later, unless the vehicle does before
    joined.evcc.session.out.append(Close())
    joined.evcc.receive(Update("x"), 0.1)
    joined.now = 0.1
    joined.drain(joined.evcc)
    joined.flow()
    assert joined.closed["SECC"] == 0.1
    assert joined.secc._timers.deadline > 1e9
    assert not joined.told("TlsTruncated")


def test_behind_our_goodbye_only_the_peers_counts():
    joined = pair(first=b"bye")
    joined.secc.tick(0.5)
    outputs = list(joined.secc.outputs())
    assert outputs[-1] == Close(after=1.0)
    joined.evcc.session.out += [Send(b"late"), Close()]
    joined.evcc.receive(Update("x"), 0.6)
    late = b"".join(o.data for o in joined.evcc.outputs() if isinstance(o, Send))
    heard = joined.secc.session.heard
    joined.secc.receive(Bytes(late), 0.6)
    assert list(joined.secc.outputs()) == [Close()]
    assert joined.secc.session.heard == heard
    joined.secc.receive(Bytes(b"noise"), 0.7)
    assert not list(joined.secc.outputs())


def test_a_connection_cut_without_close_notify_is_told():
    joined = pair()
    joined.evcc.receive(PeerClosed(), 1.0)
    joined.drain(joined.evcc)
    assert joined.told("TlsTruncated", "EVCC")
    assert isinstance(joined.evcc.session.items[-1], PeerClosed)


def test_resumption_is_not_offered():
    joined = pair()
    assert not joined.evcc._engine._connection.get_session().__dict__.get("ticket")
    again = pair()
    assert again.told("TlsEstablished")  # and a second connection shakes hands in full


# --- refusals ---------------------------------------------------------------------------------


def refused(joined, role, reason):
    """`role` refused with `reason`, no session heard anything, and both sides ended."""
    (told,) = joined.told("TlsFailed", role)
    assert reason in told.reason, told.reason
    assert joined.secc.session is None or joined.secc.session.heard == b""
    assert set(joined.closed) >= {role}
    ends = joined.told("SessionEnded", role)
    assert all(e.reason is EndReason.SECURITY for e in ends)
    return told


def test_a_vehicle_without_certificate_is_refused():
    joined = pair(evcc={"identities": ()})
    refused(joined, "SECC", "peer did not return a certificate")
    told = refused(joined, "EVCC", "TLS authentication failed")
    assert "certificate required" in told.reason
    assert "vehicle certificate" in told.next_step


def test_a_vehicle_of_an_unknown_root_is_refused():
    joined = pair(evcc={"own": "STRANGER"})
    assert "root" in refused(joined, "SECC", "refused").reason
    assert "unknown ca" in refused(joined, "EVCC", "TLS authentication failed").reason


def test_a_station_of_an_unknown_root_is_refused():
    joined = pair(secc={"own": "STRANGER"})
    refused(joined, "EVCC", "does not end at a root of ours")
    assert "unknown ca" in refused(joined, "SECC", "refused the connection").reason


@pytest.mark.parametrize(
    ("since", "until", "word"), [(-9 * DAY, -DAY, "expired"), (DAY, 9 * DAY, "not valid before")]
)
def test_validity_is_judged_by_our_own_clock(since, until, word):
    station = identity("SECC", "V2G", since=since, until=until)
    joined = pair(secc={"identities": (station,)})
    refused(joined, "EVCC", word)


def test_our_own_check_of_the_chain_has_the_last_word():
    seen = []

    def check(chain):
        seen.append(chain)
        return "it is a contract certificate, not a vehicle's"

    joined = pair(secc={"check_chain": check})
    refused(joined, "SECC", "contract certificate")
    assert all(len(chain) == 1 for chain in seen)


def test_unknown_critical_extension_is_refused_known_ones_are_ours_to_judge():
    strange = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    station = identity("SECC", "V2G", extensions=(strange,))
    refused(pair(secc={"identities": (station,)}), "EVCC", "1.2.3.4")
    key = root("V2G")[1].public_key()
    known = (x509.SubjectKeyIdentifier.from_public_key(key), True)
    authority = (x509.AuthorityKeyIdentifier.from_issuer_public_key(key), True)
    station = identity("SECC", "V2G", extensions=(known, authority))
    assert pair(secc={"identities": (station,)}).secc.session.heard == b"hello"


def test_tls12_is_refused_by_the_profile_of_part_20():
    old = dataclasses.replace(
        ISO20, name="old", versions=(Version.TLS12,), tls12_suites=("ECDHE-ECDSA-AES128-SHA256",)
    )
    joined = pair(evcc={"profiles": (old,)})
    refused(joined, "SECC", "unsupported protocol")
    assert "protocol version" in refused(joined, "EVCC", "refused the connection").reason


@pytest.mark.parametrize(
    "change",
    [
        {"tls13_suites": ("TLS_AES_128_GCM_SHA256",)},
        {"groups": ("prime256v1",)},
        {"signatures": ("ecdsa_secp256r1_sha256",)},
    ],
    ids=["suite", "group", "signature"],
)
def test_nothing_in_common_is_refused(change):
    joined = pair(evcc={"profiles": (dataclasses.replace(ISO20, **change),)})
    refused(joined, "SECC", "no s")


def test_v2gtp_in_the_clear_is_told_as_what_it_is():
    machine = TlsMachine("SECC", settings(), Echo, lambda: NOW)
    machine.receive(LinkUp(), 0.0)
    machine.receive(Bytes(bytes.fromhex("01fe800100000001")), 0.0)
    told = [o.event for o in machine.outputs() if hasattr(o, "event")]
    assert "in the clear" in told[0].reason
    assert machine.session is None


def test_a_slow_handshake_ends():
    machine = TlsMachine("SECC", settings(handshake_s=10.0), Echo, lambda: NOW)
    machine.receive(LinkUp(), 5.0)
    machine.receive(Bytes(b"\x16\x03\x01"), 6.0)
    assert machine.deadline == 15.0
    machine.tick(15.0)
    outputs = list(machine.outputs())
    assert any("longer than 10 s" in getattr(o, "event", o).reason for o in outputs if hasattr(o, "event"))
    assert machine.deadline > 1e9


def test_a_flood_before_authentication_ends():
    machine = TlsMachine("SECC", settings(), Echo, lambda: NOW)
    machine.receive(LinkUp(), 0.0)
    hello = b"\x16\x03\x01\x3f\xff\x01\x00\x3f\x00"
    machine.receive(Bytes(hello + bytes(MAX_HANDSHAKE)), 0.0)
    assert any(
        "octets before the handshake" in getattr(getattr(o, "event", None), "reason", "")
        for o in machine.outputs()
    )


@pytest.mark.parametrize("role", ["SECC", "EVCC"])
def test_meddling_with_any_flight_never_makes_a_session_hear_something_else(role):
    for position in range(0, 2000, 97):

        def flip(sender, octets, position=position):
            if sender != role or position >= len(octets):
                return octets
            return octets[:position] + bytes([octets[position] ^ 0x40]) + octets[position + 1 :]

        joined = pair(meddle=flip)
        heard = joined.secc.session.heard if joined.secc.session else b""
        assert heard in (b"", b"hello")
        if joined.told("TlsFailed", "SECC"):
            assert joined.told("TlsFailed", "SECC")[0].reason


def test_stop_and_closing_before_the_handshake_end_it():
    for item in (Stop("enough"), PeerClosed()):
        machine = TlsMachine("EVCC", settings(**EV), Echo, lambda: NOW)
        machine.receive(LinkUp(), 0.0)
        machine.receive(item, 0.1)
        kinds = [type(getattr(o, "event", o)).__name__ for o in machine.outputs()]
        assert kinds[-3:] == ["TlsFailed", "SessionEnded", "Close"]


# --- OCSP, several chains ---------------------------------------------------------------------


def test_regression_05_the_stapled_response_reaches_the_vehicles_check():
    got = []
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    stapled = response.public_bytes(Encoding.DER)
    station = identity("SECC", "V2G", status=stapled)

    def check(chain, response):
        got.append((len(chain), response))
        return ""

    joined = pair(secc={"identities": (station,)}, evcc={"check_status": check})
    assert joined.secc.session.heard == b"hello"
    assert got == [(1, stapled)]


def test_regression_05_a_vehicle_that_wants_a_status_refuses_without():
    joined = pair(evcc={"check_status": lambda _, response: "" if response else "no OCSP response"})
    refused(joined, "EVCC", "no OCSP response")
    assert "bad certificate status" in refused(joined, "SECC", "refused the connection").reason


def test_one_port_for_both_protocols():
    dual = TlsSettings(
        (identity("SECC20", "V2G"), identity("SECC2", "V2G2", "p256")),
        (der(root("OEM")[0]),),
        (ISO20, ISO2),
    )
    old = TlsSettings((), (der(root("V2G2", "p256")[0]),), (ISO2,))
    joined = Pair(dual, old)
    (told,) = joined.told("TlsEstablished", "SECC")
    assert (told.version, told.suite) == ("TLS12", "ECDHE-ECDSA-AES128-SHA256")
    assert told.peer == told.peer_name == ""
    assert Pair(dual, settings(**EV)).told("TlsEstablished", "SECC")[0].version == "TLS13"
    both = dataclasses.replace(settings(**EV), profiles=(ISO20, ISO2))
    assert Pair(dual, both).told("TlsEstablished", "SECC")[0].version == "TLS13"


@pytest.mark.req("V2G20-1007")
@pytest.mark.req("V2G20-2378")
def test_regression_03_05_the_chain_is_chosen_by_the_roots_a_vehicle_names():
    first, second = identity("A", "ROOT A"), identity("B", "ROOT B")
    station = TlsSettings((first, second), ())

    class Hello:
        versions = (0x0304,)
        trusted_ca = ()

        def __init__(self, *names):
            self.authorities = names

        def offers(self, version):
            return version in self.versions

    assert choose(station, Hello(root("ROOT B")[0].subject.public_bytes())) is second
    assert choose(station, Hello(b"\x30\x00")) is first
    assert choose(station, Hello()) is first


def test_regression_05_a_root_may_be_named_by_its_hash():
    first, second = identity("SECC 1", "ROOT A", "p256"), identity("SECC 2", "ROOT B", "p256")
    anchor = root("ROOT B", "p256")[0]
    bits = anchor.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    second = dataclasses.replace(second, root_hashes=hashes_of(bits, der(anchor)))
    station = TlsSettings((first, second), (), (ISO2,))

    class Hello:
        authorities = ()

        def offers(self, version):
            return version == 0x0303

    digests = (
        (BY_KEY, x509.SubjectKeyIdentifier.from_public_key(anchor.public_key()).digest),
        (BY_CERTIFICATE, anchor.fingerprint(hashes.SHA1())),
    )
    for kind, digest in digests:
        Hello.trusted_ca = (TrustedCa(kind, digest),)
        assert choose(station, Hello()) is second
        Hello.trusted_ca = (TrustedCa(4 - kind, digest), TrustedCa(kind, digest[:-1]), TrustedCa(0))
        assert choose(station, Hello()) is first


def test_regression_05_what_a_vehicle_of_part_2_names_in_trusted_ca_keys_chooses_the_chain():
    first, second = (identity(name, f"ROOT {name}", "p256", profile=ISO2) for name in "AB")
    station = TlsSettings((first, second), (), (ISO2,))
    names = (TrustedCa(0, b""), TrustedCa(2, root("ROOT B", "p256")[0].subject.public_bytes()))

    class Hello:
        authorities = ()
        trusted_ca = names

        def offers(self, version):
            return version == 0x0303

    assert choose(station, Hello()) is second
    Hello.trusted_ca = names[:1]
    assert choose(station, Hello()) is first


def test_names_are_compared_by_what_they_say():
    from cryptography.x509.name import _ASN1Type
    from cryptography.x509.oid import NameOID

    def named(*pairs, kind=_ASN1Type.UTF8String):
        return x509.Name([x509.NameAttribute(o, v, _type=kind) for o, v in pairs]).public_bytes()

    one = named((NameOID.COMMON_NAME, "V2G  Root"), (NameOID.ORGANIZATION_NAME, "X"))
    other = named(
        (NameOID.ORGANIZATION_NAME, "x"), (NameOID.COMMON_NAME, "v2g root"), kind=_ASN1Type.PrintableString
    )
    assert name_key(one) == name_key(other) != name_key(named((NameOID.COMMON_NAME, "V2G")))
    assert name_key(b"\x30\x82") == name_key(b"noise") == frozenset()


# --- switches ---------------------------------------------------------------------------------


def test_regression_17_the_key_log_is_written_only_when_asked_for():
    lines: list[str] = []
    pair(secc={"key_log": lines.append})
    assert any(line.startswith("CLIENT_HANDSHAKE_TRAFFIC_SECRET") for line in lines)


def test_post_quantum_vehicle_finds_a_plain_station():
    joined = pair(evcc={"profiles": (POST_QUANTUM,)})
    assert joined.told("TlsEstablished", "EVCC")[0].group == "secp521r1"
    joined = pair(secc={"profiles": (ISO20,)}, evcc={"profiles": (ISO20,)})
    assert joined.told("TlsEstablished", "EVCC")[0].group == "secp521r1"


def test_the_laboratory_profile_serves_p256_peers():
    station = identity("SECC", "V2G2", "p256", profile=LAB_P256)
    secc = TlsSettings((station,), (der(root("OEM2", "p256")[0]),), (LAB_P256,))
    evcc = TlsSettings((identity("EV", "OEM2", "p256"),), (der(root("V2G2", "p256")[0]),), (LAB_P256,))
    assert Pair(secc, evcc).secc.session.heard == b"hello"


def test_a_profile_the_library_cannot_be_held_to_is_refused():
    odd = TlsProfile(
        "odd", (Version.TLS13,), ISO20.tls13_suites, groups=("no-such-group",), signatures=("ed448",)
    )
    joined = pair(evcc={"profiles": (odd,)})
    refused(joined, "EVCC", "cannot be limited")
