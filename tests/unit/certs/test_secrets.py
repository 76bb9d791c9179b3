"""No secret shows in a repr, an exception, a traceback or a warning."""

from __future__ import annotations

import base64
import dataclasses
import traceback

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import contract, keys
from certs.errors import CertsError
from certs.est import EstClient, HttpRequest
from certs.est_responder import EstResponder
from certs.identity import Identity
from certs.issue import Authority
from certs.keys import FileKeyStore, MemoryKeyStore, Signer
from certs.profiles import Role
from tests.unit.certs.made import pki

PASSPHRASE = "hunter2-hunter2"


def forms(key):
    """How a key could show: as a number, in hex, in PEM, in base64."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    found = [der.hex()[80:120], base64.b64encode(der).decode()[60:90]]
    if hasattr(key, "private_numbers"):
        found.append(str(key.private_numbers().private_value))
        found.append(f"{key.private_numbers().private_value:x}"[:40])
    return found


def holders(secc, folder):
    """Everything that holds a key or a passphrase."""
    tree = pki()
    store = MemoryKeyStore()
    store.store("k", secc.key)
    yield secc
    yield Authority(secc.leaf, secc.key)
    yield store
    yield Signer(secc.key)
    yield FileKeyStore(folder, PASSPHRASE.encode())
    yield contract.Unwrapped(secc.key)
    yield tree
    yield tree._making(Role.SECC, "x", secc.key, tree.at)
    yield EstClient(lambda _: None, user="me", password=PASSPHRASE)
    yield EstResponder(tree, Role.SECC, password=PASSPHRASE)
    yield HttpRequest("GET", "/", headers=(("Authorization", PASSPHRASE),))


def test_reprs(tmp_path):
    secc = pki().secc()
    secrets = [*forms(secc.key), PASSPHRASE]
    for holder in holders(secc, tmp_path):
        for shown in (repr(holder), str(holder), f"{holder}"):
            assert not [secret for secret in secrets if secret in shown], type(holder)


def told(error):
    """Everything an exception may carry into a log."""
    chain = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
    text = "".join(traceback.format_exception(error))
    return text + " ".join(f"{e!r} {getattr(e, '__dict__', '')}" for e in chain if e)


def test_exceptions(tmp_path):
    secc = pki().secc()
    secc.write(tmp_path / "secc")
    passphrase = (tmp_path / "secc" / "passphrase").read_text().strip()
    (tmp_path / "secc" / "passphrase").write_text(passphrase + "x\n")
    with pytest.raises(CertsError) as wrong:
        Identity.load(tmp_path / "secc")
    assert passphrase not in told(wrong.value)
    key_text = keys.key_pem(secc.key, b"").decode()
    middle = "\n".join(key_text.splitlines()[1:-1])
    keys.write_private(tmp_path / "broken.pem", key_text.replace("PRIVATE", "PRIVAT").encode())
    with pytest.raises(CertsError) as broken:
        keys.read_key(tmp_path / "broken.pem", b"")
    assert middle[:30] not in told(broken.value)


def test_a_key_that_does_not_fit_is_not_quoted():
    tree = pki()
    made, car, other = tree.contract(), tree.provisioning(), tree.contract()
    wrapped = contract.wrap_iso20(other.key, car.leaf.public_key(), "WMXP00000000000010", made.leaf)
    with pytest.raises(CertsError) as caught:
        contract.unwrap_iso20(wrapped, car.key, "WMXP00000000000010", made.leaf)
    assert not [form for form in forms(other.key) if form in told(caught.value)]


def test_verdicts_hold_no_key():
    tree = pki()
    secc = tree.secc(defect="expired")
    verdict = tree.verdict(secc)
    shown = f"{verdict!r} {verdict} {dataclasses.asdict(verdict.refusal)}"
    assert not [form for form in forms(secc.key) if form in shown]
