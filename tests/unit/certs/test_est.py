"""Enrolment: the client against a server as a function, and over TLS on the loopback interface."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import random

import pytest

from certs import est, issue, keys, reading
from certs.errors import CertsError
from certs.est import CsrAttribute, EstClient, HttpRequest, HttpResponse, Pending
from certs.est_responder import EstResponder
from certs.identity import Identity
from certs.pki import EXAMPLES, TestPki
from certs.profiles import Role
from tests.unit.certs.est_loopback import client_context, serving
from tests.unit.certs.made import AT, pki

PASSWORD = "let me in"


def attributes_der():
    """CsrAttrs by hand: an OID, an attribute with a value, an OID."""
    ecdsa = bytes.fromhex("06082a8648ce3d040304")
    value = bytes.fromhex("06052b81040023")
    kind = bytes.fromhex("06072a8648ce3d0201")
    inner = kind + b"\x31" + bytes([len(value)]) + value
    attribute = b"\x30" + bytes([len(inner)]) + inner
    password = bytes.fromhex("06092a864886f70d010907")
    body = password + attribute + ecdsa
    return b"\x30" + bytes([len(body)]) + body


def joined(responder, peer=None):
    """A client beside a server, no network between."""
    return lambda request: responder.answer(request, AT, peer)


def csr(tree, role=Role.SECC, key=None, common=None):
    key = key or tree.curve.generate()
    return key, issue.request(issue.name(common or EXAMPLES[role], "Test"), key)


def client_of(responder, *, password=PASSWORD, peer=None):
    return EstClient(joined(responder, peer), user="station" if password else "", password=password)


@pytest.mark.parametrize(
    ("protocol", "curve"), [("iso15118-20", "secp521r1"), ("iso15118-20", "ed448"), ("iso15118-2", "")]
)
@pytest.mark.parametrize("role", [Role.SECC, Role.CPS, Role.PROVISIONING])
def test_enrolment(protocol, curve, role):
    tree = pki(protocol, curve)
    client = client_of(EstResponder(tree, role, password=PASSWORD))
    key, request = csr(tree, role)
    chain = client.enrol(request)
    assert [reading.common_name(c.subject) for c in chain[1:]] == [
        reading.common_name(c.subject) for c in tree.leaf(role).certificates[1:]
    ]
    identity = Identity(role, chain, key, rules=tree.rules)
    assert tree.verdict(identity.with_status(tree.status(identity, AT))).ok


def test_ca_certificates_come_in_order():
    tree = pki()
    found = client_of(EstResponder(tree, Role.SECC)).ca_certificates()
    assert found == tree.authorities[Role.CPO_SUB_2].shown


def test_attributes():
    tree = pki()
    client = client_of(EstResponder(tree, Role.SECC, attributes=attributes_der()))
    assert client.csr_attributes() == (
        CsrAttribute("1.2.840.113549.1.9.7"),
        CsrAttribute("1.2.840.10045.2.1", (bytes.fromhex("06052b81040023"),)),
        CsrAttribute("1.2.840.10045.4.3.4"),
    )
    assert client_of(EstResponder(tree, Role.SECC)).csr_attributes() == ()


def test_malformed_attributes_are_refused():
    good = attributes_der()
    for cut in range(1, len(good)):
        with pytest.raises(CertsError):
            est.read_attributes(good[:cut])
    for wrong in (
        b"\x31\x00",
        b"\x30\x02\x05\x00",
        b"\x30\x03\x06\x01\x80",
        b"\x30\x80",
        b"\x30\x02\x06\x00",
        good + b"\0",
    ):
        with pytest.raises(CertsError):
            est.read_attributes(wrong)
    assert est.read_attributes(b"") == est.read_attributes(b"\x30\x00") == ()
    rng = random.Random(7)
    for _ in range(500):
        octets = bytearray(good)
        octets[rng.randrange(len(octets))] = rng.randrange(256)
        try:
            est.read_attributes(bytes(octets))
        except CertsError:
            continue


def test_who_may_enrol():
    tree = pki()
    _, request = csr(tree)
    responder = EstResponder(tree, Role.SECC, password=PASSWORD)
    for password in ("", "wrong"):
        with pytest.raises(CertsError, match=r"401.*Show a client certificate"):
            client_of(responder, password=password).enrol(request)
    without_password = dataclasses.replace(responder, password="")
    with pytest.raises(CertsError, match="401"):
        client_of(without_password, password="x").enrol(request)
    assert client_of(responder, password="", peer=tree.secc().leaf).enrol(request)


def test_a_renewal_keeps_the_subject():
    tree = pki()
    present = tree.secc()
    responder = EstResponder(tree, Role.SECC)
    client = client_of(responder, password="", peer=present.leaf)
    assert len(client.re_enrol(csr(tree)[1])) == 3
    other = csr(tree, common="DETSTS000000000000000000000000000000029")[1]
    with pytest.raises(CertsError, match="keeps its subject"):
        client.re_enrol(other)


def test_requests_that_are_refused():
    tree = pki()
    client = client_of(EstResponder(tree, Role.SECC, password=PASSWORD))
    foreign_key = pki("iso15118-2").curve.generate()
    with pytest.raises(CertsError, match="has to be on secp521r1"):
        client.enrol(csr(tree, key=foreign_key)[1])
    with pytest.raises(CertsError, match="400"):
        client.enrol(b"no request")
    damaged = bytearray(csr(tree)[1])
    damaged[-5] ^= 1
    with pytest.raises(CertsError, match="does not have the key"):
        client.enrol(bytes(damaged))
    with pytest.raises(CertsError, match="not of the form"):
        client.enrol(csr(tree, common="somebody")[1])


def test_an_operator_who_decides_later():
    tree = pki()
    client = client_of(EstResponder(tree, Role.SECC, password=PASSWORD, manual=True))
    assert client.enrol(csr(tree)[1]) == Pending(30)


def test_answers_that_make_no_sense():
    tree = pki()
    key, request = csr(tree)
    other = EstResponder(tree, Role.SECC, password=PASSWORD).answer(
        HttpRequest("POST", "/.well-known/est/simpleenroll", base64.b64encode(csr(tree)[1])),
        AT,
        tree.secc().leaf,
    )
    for response, match in (
        (HttpResponse(200, b""), "simpleenroll"),
        (HttpResponse(200, b"!!!!"), "simpleenroll"),
        (HttpResponse(200, base64.b64encode(b"\x30\x00")), "simpleenroll"),
        (HttpResponse(200, bytes(300_000)), "more than"),
        (other, "0 certificates of our key"),
        (HttpResponse(500, b"\xff" * 500), "answers 500"),
        (HttpResponse(302), "answers 302"),
        (HttpResponse(403), "ask|Ask"),
    ):
        with pytest.raises(CertsError, match=match) as caught:
            EstClient(lambda _, answer=response: answer).enrol(request)
        assert len(str(caught.value)) < 500
    for text, seconds in (("", 60), ("Wed, 21 Oct 2026", 60), ("5", 5), ("9" * 20, 86_400)):
        client = EstClient(lambda _, after=text: HttpResponse(202, retry_after=after))
        assert client.enrol(request) == Pending(seconds)
    assert key


def test_base64_is_read_as_it_comes():
    text = base64.b64encode(bytes(range(200)))
    wrapped = base64.encodebytes(bytes(range(200))).replace(b"\n", b"\r\n")
    armoured = b"-----BEGIN PKCS7-----\n" + wrapped + b"-----END PKCS7-----\n"
    assert {est.from_base64(form, "x") for form in (text, wrapped, armoured)} == {bytes(range(200))}


def test_labels_and_other_operations():
    seen = []
    client = EstClient(lambda request: seen.append(request.path) or HttpResponse(404), label="cpo")
    assert client.csr_attributes() == ()
    assert seen == ["/.well-known/est/cpo/csrattrs"]
    responder = EstResponder(pki(), Role.SECC)
    for method, path in (
        ("GET", "/"),
        ("GET", "/.well-known/est/simpleenroll"),
        ("POST", "/.well-known/est/cacerts"),
    ):
        assert responder.answer(HttpRequest(method, path), AT).status == 404


# --- over TLS on loopback --------------------------------------------------------------------------


@pytest.fixture
def today():
    """TLS looks at the machine's clock: this PKI is of today."""
    return TestPki(datetime.datetime.now(datetime.UTC), "iso15118-2")


@pytest.mark.runtime
def test_enrolment_over_tls_by_password_and_renewal_by_certificate(today, tmp_path):
    today.secc("est.example").write(tmp_path / "server")
    roots = today.roots[Role.V2G_ROOT]
    responder = EstResponder(today, Role.SECC, password=PASSWORD)
    with serving(responder, tmp_path / "server", roots) as port:
        carry = est.https("127.0.0.1", port, client_context(roots))
        client = EstClient(carry, user="station", password=PASSWORD)
        assert client.ca_certificates()
        key, request = csr(today, common="Station 7")
        chain = client.enrol(request)
        Identity(Role.SECC, chain, key, rules=today.rules).write(tmp_path / "me")

        known = est.https("127.0.0.1", port, client_context(roots, tmp_path / "me"))
        new_key = today.curve.generate()
        request = issue.request(chain[0].subject, new_key)
        renewed = EstClient(known).re_enrol(request)
        assert renewed[0].subject == chain[0].subject
        assert keys.belongs_to(new_key, renewed[0].public_key())

        stranger = EstClient(est.https("127.0.0.1", port, client_context(roots)))
        with pytest.raises(CertsError, match="401"):
            stranger.enrol(request)


@pytest.mark.runtime
def test_a_server_below_another_root_is_not_asked(today, tmp_path):
    today.secc("est.example").write(tmp_path / "server")
    other = pki("iso15118-2").roots[Role.V2G_ROOT]
    with serving(EstResponder(today, Role.SECC), tmp_path / "server", other) as port:
        client = EstClient(est.https("127.0.0.1", port, client_context(other)))
        with pytest.raises(CertsError, match=r"127\.0\.0\.1.*trusted root"):
            client.ca_certificates()
    with pytest.raises(CertsError, match="EST server"):
        EstClient(est.https("127.0.0.1", port, client_context(other), timeout_s=1)).ca_certificates()
