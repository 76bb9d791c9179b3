"""Keys in a PKCS#11 token, with SoftHSM where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certs import contract, issue
from certs.curves import ED448, SECP256R1, SECP521R1
from certs.errors import CertsError
from certs.keys import Signer, can_leave
from certs.profiles import Role
from tests.unit.certs.made import pki

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
PIN = "567890"


@pytest.fixture(scope="module")
def module():
    """A SoftHSM with one token, in a folder of its own."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed")
    return found


@pytest.fixture(scope="module")
def token(module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(config)
    call = ["softhsm2-util", "--init-token", "--free", "--label", "station", "--so-pin", "1234", "--pin", PIN]
    subprocess.run(call, check=True, capture_output=True, timeout=30)
    yield module
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(scope="module")
def store(token):
    from certs.pkcs11 import Pkcs11KeyStore

    found = Pkcs11KeyStore(token, "station", lambda: PIN)
    yield found
    found.close()


@pytest.mark.parametrize("curve", [SECP256R1, SECP521R1, ED448], ids=lambda c: c.name)
def test_keys_are_made_in_the_token_and_certified(store, curve):
    name = f"secc-{curve.name}"
    key = store.generate(name, curve)
    assert name in store.names()
    assert not can_leave(key)
    with pytest.raises(CertsError, match="there is one already"):
        store.generate(name, curve)
    again = store.load(name)
    assert again.public_key() == key.public_key()
    assert issue.read_request(issue.request(issue.name("x"), again))
    tree = pki("iso15118-2" if curve is SECP256R1 else "iso15118-20", curve.name)
    assert tree.verdict(tree.leaf(Role.SECC, key=again)).ok
    raw = Signer(again).sign_digest(bytes(curve.digest.digest_size)) if curve.coordinate else None
    assert raw is None or len(raw) == 2 * curve.coordinate
    store.delete(name)
    assert name not in store.names()
    with pytest.raises(CertsError, match="not in this store"):
        store.load(name)


def test_the_token_agrees_on_contract_keys(store):
    tree = pki()
    key = store.generate("provisioning", SECP521R1)
    peer = SECP521R1.generate()
    assert key.exchange(ec.ECDH(), peer.public_key()) == peer.exchange(ec.ECDH(), key.public_key())
    car, made = tree.leaf(Role.PROVISIONING, key=key), tree.contract()
    wrapped = contract.wrap_iso20(made.key, car.leaf.public_key(), "WMXP00000000000010", made.leaf)
    found = contract.unwrap_iso20(wrapped, key, "WMXP00000000000010", made.leaf)
    assert found.key.public_key() == made.leaf.public_key()
    store.delete("provisioning")


def test_keys_do_not_enter(store):
    with pytest.raises(CertsError, match="made in the token"):
        store.store("x", SECP256R1.generate())


def test_a_wrong_pin_is_told_without_the_pin(token):
    from certs.pkcs11 import Pkcs11KeyStore

    with pytest.raises(CertsError, match="token 'station'") as caught:
        Pkcs11KeyStore(token, "station", lambda: "998877")
    assert "998877" not in str(caught.value)
    assert "998877" not in repr(caught.value)


def test_an_unknown_token_or_module_is_told(token):
    from certs.pkcs11 import Pkcs11KeyStore

    with pytest.raises(CertsError, match="token 'nobody'"):
        Pkcs11KeyStore(token, "nobody", lambda: PIN)
    with pytest.raises(CertsError):
        Pkcs11KeyStore("/nowhere.so", "station", lambda: PIN)


def test_without_the_package_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pkcs11", None)
    from certs.pkcs11 import Pkcs11KeyStore

    with pytest.raises(CertsError, match=r"iso15118-stack\[pkcs11\]"):
        Pkcs11KeyStore("/usr/lib/x.so", "station", lambda: PIN)
