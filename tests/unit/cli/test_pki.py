"""`iso15118 pki`: make, issue, show, check, renew."""

from __future__ import annotations

import shutil

import pytest

from certs.identity import Identity
from certs.profiles import Role
from iso15118.cli.main import FAILED, OK, USAGE, main

AT = "2026-06-01T12:00:00Z"
LATER = "2026-08-25T12:00:00Z"
"""A week before the station's certificate ends."""


def pki(*words, at=AT):
    return main(["pki", *map(str, words), "--at", at])


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "pki"
    assert pki("init", folder) == OK
    return folder


@pytest.fixture
def made(original, tmp_path, capsys):
    """A PKI of the test's own."""
    capsys.readouterr()
    return shutil.copytree(original, tmp_path / "pki")


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ((), {"contract", "cps", "provisioning", "secc", "vehicle"}),
        (("--curve", "ed448"), {"contract", "cps", "provisioning", "secc", "vehicle"}),
        (("--protocol", "iso15118-2"), {"contract", "cps", "provisioning", "secc"}),
    ],
)
def test_init_makes_a_pki_that_passes_its_own_check(tmp_path, capsys, options, roles):
    folder = tmp_path / "pki"
    assert pki("init", folder, *options) == OK
    out = capsys.readouterr().out
    assert all(f"  {role}/" in out for role in roles)
    assert pki("check", folder) == OK
    lines = capsys.readouterr().out.splitlines()
    assert {line.split(":")[0].rpartition("/")[2] for line in lines if "accepted" in line} == roles
    assert "OCSP response: good, 2026-06-08 (7 days left)" in "\n".join(lines)


def test_init_does_not_overwrite(made, capsys):
    assert pki("init", made) == FAILED
    assert "there is one already" in capsys.readouterr().err


def test_keys_in_the_clear_on_request(tmp_path):
    assert pki("init", tmp_path / "pki", "--unencrypted-keys") == OK
    assert b"ENCRYPTED" not in (tmp_path / "pki" / "secc" / "key.pem").read_bytes()
    assert Identity.load(tmp_path / "pki" / "secc").role is Role.SECC


def test_issue(made, tmp_path, capsys):
    assert pki("issue", made, "contract", "DE-ABC-C12345678") == OK
    assert "contract-DEABCC123456788: DEABCC123456788" in capsys.readouterr().out
    assert pki("issue", made, "contract", "DE-ABC-C12345678") == USAGE
    assert "--out" in capsys.readouterr().err
    assert pki("issue", made, "secc", "--defect", "wrong-curve", "--out", tmp_path / "bad") == OK
    assert "a peer refuses it: leaf" in capsys.readouterr().out
    assert pki("issue", made, "secc", "nonsense", "--out", tmp_path / "x") == FAILED
    assert "not of the form" in capsys.readouterr().err
    assert pki("issue", tmp_path, "secc") == FAILED
    assert "pki init" in capsys.readouterr().err


def test_show(made, capsys):
    assert pki("show", made / "secc") == OK
    out = capsys.readouterr().out
    assert "issued by O=Test,CN=CPO Sub-CA 2" in out
    assert "SECCID DETSTS" in out
    assert "check digit right" in out
    assert "2026-08-30 (90 days left)" in out
    assert "PRIVATE" not in out
    assert pki("show", made / "roots" / "v2g-root.pem") == OK
    assert "V2G Root CA" in capsys.readouterr().out
    assert pki("show", made / "nothing") == FAILED
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("role", "defect", "says"),
    [
        (
            "secc",
            "expired",
            ["a certificate has expired", "TLS alert certificate_expired (45)", "next: Renew it"],
        ),
        ("secc", "revoked", ["revoked on 2026-06-01", "certificate_revoked (44)"]),
        ("vehicle", "unknown-root", ["not trusted", "unknown_ca (48)"]),
        ("contract", "expired", ["WARNING_CertificateExpired"]),
        ("cps", "wrong-domain", ["another role", "discards the message"]),
    ],
)
def test_check_explains(made, tmp_path, capsys, role, defect, says):
    bad = tmp_path / "bad"
    pki("issue", made, role, "--defect", defect, "--out", bad)
    capsys.readouterr()
    assert pki("check", bad, "--roots", made / "roots") == FAILED
    out = capsys.readouterr().out
    assert "REFUSED" in out
    assert all(text in out for text in says), out


def test_check_tells_what_a_directory_lacks(made, capsys):
    (made / "secc" / "chain.pem").unlink()
    assert pki("check", made) == FAILED
    out = capsys.readouterr().out
    assert "secc: cannot be used" in out
    assert "vehicle: accepted" in out


def test_check_with_a_key_of_another_certificate(made, tmp_path, capsys):
    pki("issue", made, "secc", "--defect", "swapped-key", "--out", tmp_path / "bad")
    capsys.readouterr()
    assert pki("check", tmp_path / "bad", "--roots", made / "roots") == FAILED
    assert "does not belong to the first certificate" in capsys.readouterr().out


def test_check_as_a_laboratory(made, tmp_path, capsys):
    pki("issue", made, "secc", "--defect", "no-organisation", "--out", tmp_path / "bad")
    assert pki("check", tmp_path / "bad", "--roots", made / "roots") == FAILED
    capsys.readouterr()
    assert pki("check", tmp_path / "bad", "--roots", made / "roots", "--lab") == OK
    assert "warning: leaf" in capsys.readouterr().out


def test_check_a_chain_in_a_file(made, capsys):
    chain, roots = made / "secc" / "chain.pem", made / "roots"
    assert pki("check", chain, "--role", "secc", "--roots", roots) == OK
    assert "warning: leaf" in capsys.readouterr().out  # nothing tells whether it is revoked
    assert pki("check", chain, "--role", "vehicle", "--roots", roots) == FAILED
    assert "REFUSED" in capsys.readouterr().out
    assert pki("check", chain) == USAGE
    assert "--role" in capsys.readouterr().err
    assert pki("check", made / "secc" / "identity.toml", "--role", "secc", "--roots", roots) == FAILED


def test_the_passphrase_may_be_elsewhere(made, tmp_path, capsys):
    (made / "secc" / "passphrase").rename(tmp_path / "credential")
    assert pki("check", made / "secc") == FAILED
    assert "there is no passphrase" in capsys.readouterr().out
    assert pki("check", made / "secc", "--passphrase-file", tmp_path / "credential") == OK


def test_renew(made, capsys):
    before = {
        path.name: Identity.load(path).leaf for path in made.iterdir() if (path / "identity.toml").exists()
    }
    assert pki("check", made, at=LATER) == FAILED  # the OCSP responses are old
    capsys.readouterr()
    assert pki("renew", made, at=LATER) == OK
    out = capsys.readouterr().out
    assert "secc: new key and certificate, 2026-11-23 (90 days left)" in out
    assert "vehicle: fresh OCSP response" in out
    assert pki("check", made, at=LATER) == OK
    for name, leaf in before.items():
        after = Identity.load(made / name).leaf
        assert after.subject == leaf.subject
        assert (after != leaf) == (name in ("secc", "cps"))


def test_the_second_key_of_a_car_on_ed448_is_shown_checked_and_renewed(tmp_path, capsys):
    folder = tmp_path / "pki"
    pki("init", folder, "--curve", "ed448", "--unencrypted-keys")
    capsys.readouterr()
    assert pki("show", folder / "provisioning") == OK
    assert "with an X448 key that receives contract keys" in capsys.readouterr().out
    before = Identity.load(folder / "provisioning").agreement.private_bytes_raw()
    assert pki("renew", folder, "--within", 10_000) == OK
    after = Identity.load(folder / "provisioning").agreement.private_bytes_raw()
    assert before != after
    other = tmp_path / "other"
    assert pki("issue", folder, "provisioning", "--out", other, "--unencrypted-keys") == OK
    assert pki("check", folder) == OK
    (other / "agreement.pem").replace(folder / "provisioning" / "agreement.pem")
    assert pki("check", folder) == FAILED
    assert "the key to agree with is not the certificate's" in capsys.readouterr().out


def test_renewal_keeps_keys_in_the_clear_where_they_were(tmp_path):
    pki("init", tmp_path / "pki", "--unencrypted-keys")
    pki("renew", tmp_path / "pki", "--within", 10_000, at=LATER)
    assert not list((tmp_path / "pki" / "secc").glob("passphrase"))
    assert Identity.load(tmp_path / "pki" / "secc")


def test_wrong_calls(made, capsys, tmp_path):
    assert main(["pki"]) == USAGE
    assert main(["pki", "check", str(made), "--at", "yesterday"]) == USAGE
    assert main(["pki", "check", str(made), "--at", "2026-06-01T12:00:00"]) == FAILED
    assert "no time zone" in capsys.readouterr().err
    assert main(["pki", "check", str(made / "nothing")]) == USAGE
    assert main(["pki", "check", str(tmp_path)]) == USAGE
    assert main(["pki", "init", str(tmp_path / "x"), "--curve", "rsa"]) == FAILED
    assert "uses secp521r1, ed448" in capsys.readouterr().err


def test_without_a_time_it_is_now(tmp_path, capsys):
    assert main(["pki", "init", str(tmp_path / "pki")]) == OK
    assert main(["pki", "check", str(tmp_path / "pki")]) == OK
