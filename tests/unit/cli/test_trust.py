"""charger and vehicle with certificates: their options, and a session in the lab."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from certs.chain import LAB
from certs.pki import TestPki
from certs.profiles import Role
from iso15118.cli import trust
from iso15118.cli.main import USAGE, UsageError, main
from tests.unit.cli.test_sessions import PROGRAM, PROJECT, in_lab, lab_sh, patience

NOW = datetime.datetime.now(datetime.UTC)


@functools.cache
def tree():
    return TestPki(NOW)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates") / "pki"
    tree().write(folder)
    return folder


def options(*arguments):
    parser = argparse.ArgumentParser()
    trust.add_options(parser)
    trust.add_authorization(parser, "fetch")
    return parser.parse_args([str(a) for a in arguments])


def test_a_pki_gives_each_role_its_identity(pki):
    for role, wanted in (("SECC", Role.SECC), ("EVCC", Role.VEHICLE)):
        with trust.security(options("--pki", pki), role, insecure=False) as security:
            assert security.identity.role is wanted
            assert (security.policy, security.evidence, security.key_log) == (None, None, None)
            assert (security.staple is None) == (role == "EVCC")
    with trust.security(
        options("--pki", pki / "secc", "--lab-certificates"), "SECC", insecure=True
    ) as security:
        assert security.identity.role is Role.SECC
        assert security.policy is LAB


def test_the_response_to_staple_is_read_anew_each_time(pki, tmp_path):
    shutil.copytree(pki / "secc", tmp_path / "secc")
    file = tmp_path / "secc" / "ocsp.der"
    with trust.security(options("--pki", tmp_path / "secc"), "SECC", insecure=False) as security:
        assert security.staple() == file.read_bytes() != b""
        file.write_bytes(b"newer")
        assert security.staple() == b"newer"
        file.unlink()
        assert security.staple() == b""


def test_plain_tcp_by_consent_needs_no_certificates():
    with trust.security(options(), "SECC", insecure=True) as security:
        assert security is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "pki init DIR"),
        (("--pki", "/nowhere"), "identity.toml"),
        (("--keylog", "x", "--insecure-no-tls"), "--keylog is about TLS"),
        (("--revocation", "x", "--insecure-no-tls"), "--revocation is about TLS"),
    ],
)
@pytest.mark.parametrize("command", ["charger", "vehicle"])
def test_wrong_calls(command, arguments, told, capsys):
    assert main([command, "--interface", "lo", *arguments]) == USAGE
    assert told in capsys.readouterr().err


def test_what_is_missing_on_disk_is_named(pki, tmp_path):
    for arguments, told in (
        (("--revocation", tmp_path / "no.crl"), "no such file"),
        (("--keylog", tmp_path / "no" / "log"), "No such file"),
        (("--passphrase-file", tmp_path / "no"), "no"),
    ):
        with (
            pytest.raises(UsageError, match=told),
            trust.security(options("--pki", pki, *arguments), "SECC", insecure=False),
        ):
            pass


def test_an_identity_of_the_other_role_is_told(pki, capsys):
    assert main(["charger", "--interface", "lo", "--pki", str(pki / "vehicle")]) == USAGE
    assert "role vehicle; accepted: secc" in capsys.readouterr().err


def test_the_key_log_is_appended_to_and_private(pki, tmp_path):
    path = tmp_path / "keys.log"
    path.write_text("before\n")
    path.chmod(0o644)
    with trust.security(options("--pki", pki, "--keylog", path), "SECC", insecure=False) as security:
        security.key_log("CLIENT_RANDOM 00 11")
        assert path.read_text() == "before\nCLIENT_RANDOM 00 11\n", "at once, not at the end"
    assert path.stat().st_mode & 0o777 == 0o600


def test_revocation_files_are_read_each_time(pki, tmp_path):
    bad = tree().vehicle(defect="revoked")
    crl, response = tmp_path / "a.crl", tmp_path / "b.ocsp"
    crl.write_bytes(tree().crl(Role.VEHICLE, (), NOW))
    response.write_bytes(bad.status)
    arguments = options("--pki", pki, "--revocation", crl, "--revocation", response)
    with trust.security(arguments, "SECC", insecure=False) as security:
        from certs import checks

        check = checks.of_vehicles(security.identity, lambda: NOW, security.evidence)
        good = tree().vehicle()
        assert check(good.chain) == ""
        assert "is revoked" in check(bad.chain)
        crl.write_bytes(tree().crl(Role.VEHICLE, (good.leaf,), NOW))
        assert "is revoked" in check(good.chain)
        crl.unlink()
        assert "nothing trustworthy" in check(good.chain)


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize("curve", ["secp521r1", "ed448"])
def test_pki_init_then_charger_and_vehicle_over_tls(curve, tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "iso15118.cli", "pki", "init", tmp_path / "pki", "--curve", curve],
        check=False, cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    station, keys = tmp_path / "station.jsonl", tmp_path / "keys.log"
    secc, evcc = patience(tmp_path)
    done = lab_sh(
        f"{PROGRAM} charger --interface vse {secc} --pki {tmp_path}/pki --keylog {keys} --once --json > {station} & "
        f"{PROGRAM} vehicle --interface vev {evcc} --pki {tmp_path}/pki --loops 3 --once --json; "
        "ev=$?; wait $!; echo station=$? vehicle=$ev"
    )
    *events, codes = done.stdout.splitlines()
    assert codes == "station=0 vehicle=0", done.stderr
    assert "SECRETS" in done.stderr
    assert "WITHOUT TLS" not in done.stderr
    assert "CLIENT_TRAFFIC_SECRET_0" in keys.read_text()
    for lines in (events, Path(station).read_text().splitlines()):
        records = [json.loads(line) for line in lines]
        assert [e["reason"] for e in records if e["event"] == "SessionEnded"] == ["completed"]
        (established,) = [e for e in records if e["event"] == "TlsEstablished"]
        assert (established["version"], established["group"]) == ("TLS13", "secp521r1")
    found = next(e for e in map(json.loads, events) if e["event"] == "SeccFound")
    assert found["tls"]
    assert not found["downgraded"]


@in_lab
@pytest.mark.runtime
def test_a_car_with_certificates_does_not_take_a_plain_station(pki, tmp_path):
    """SDP answers without TLS are not usable; nothing is connected."""
    done = lab_sh(
        f"{PROGRAM} charger --interface vse --insecure-no-tls --json > {tmp_path}/station & secc=$!; "
        f"timeout 4 {PROGRAM} vehicle --interface vev --pki {pki} --once --json; kill $secc; wait $secc"
    )
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert "TLS was asked for, the answer denies it" in done.stdout, done.stderr
    assert "SdpAnswered" in (tmp_path / "station").read_text()
    assert set(events) == {"SdpRequestSent", "SdpDatagramIgnored"}


# --- contracts --------------------------------------------------------------------------------


def test_a_car_brings_the_contract_of_its_pki(pki):
    with trust.security(options("--pki", pki), "EVCC", insecure=False) as security:
        (contract,) = security.wallet.contracts
        assert contract.emaid.startswith("DETST")
        assert security.wallet.provisioning is not None
    with trust.security(options("--pki", pki / "vehicle"), "EVCC", insecure=False) as security:
        assert security.wallet is None


@pytest.mark.parametrize("command", ["charger", "vehicle"])
def test_means_of_authorization_are_checked(command, pki, capsys):
    assert main([command, "--interface", "lo", "--pki", str(pki), "--authorization", "cash"]) == USAGE
    assert "--authorization cash; accepted: EIM, PnC" in capsys.readouterr().err


def test_plug_and_charge_needs_certificates(capsys):
    arguments = ["charger", "--interface", "lo", "--insecure-no-tls", "--authorization", "PnC"]
    assert main(arguments) == USAGE
    assert "authorization: PnC needs the roots of contracts" in capsys.readouterr().err


@in_lab
@pytest.mark.runtime
def test_plug_and_charge_in_the_lab(pki, tmp_path):
    station = tmp_path / "station.jsonl"
    secc, evcc = patience(tmp_path)
    common = f"--pki {pki} --authorization PnC --once --json"
    done = lab_sh(
        f"{PROGRAM} charger --interface vse {secc} {common} > {station} & "
        f"{PROGRAM} vehicle --interface vev {evcc} {common} --loops 3; ev=$?; wait $!; echo station=$? vehicle=$ev"
    )
    *_, codes = done.stdout.splitlines()
    assert codes == "station=0 vehicle=0", done.stderr
    records = [json.loads(line) for line in station.read_text().splitlines()]
    asked = [e for e in records if e["event"] == "QuestionAsked"]
    assert any("ContractQuestion" in str(e) or "emaid" in str(e) for e in asked), asked
    assert "PRIVATE" not in station.read_text()


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize("hardware", ["", "--hardware virtual"])
def test_a_contract_is_fetched_in_the_lab(hardware, pki, tmp_path):
    station, car = tmp_path / "station.jsonl", tmp_path / "car.jsonl"
    secc, evcc = patience(tmp_path)
    common = f"--pki {pki} --install --once --json {hardware}"
    done = lab_sh(
        f"{PROGRAM} charger --interface vse {secc} {common} > {station} & "
        f"{PROGRAM} vehicle --interface vev {evcc} {common} --loops 3 > {car}; ev=$?; wait $!; echo station=$? vehicle=$ev"
    )
    *_, codes = done.stdout.splitlines()
    assert codes == "station=0 vehicle=0", done.stderr
    told = [json.loads(line) for line in car.read_text().splitlines()]
    why = [e["why"] for e in told if e["event"] == "Decision" and e["what"] == "CertificateInstallation"]
    assert why == ["a contract of DETST, not stored: it serves this session alone"]
    assert "PRIVATE" not in station.read_text() + car.read_text()


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize("joins", [("charger", "vehicle"), ("charger",), ("vehicle",)])
def test_a_contract_on_ed448_is_fetched_in_the_lab_where_both_join(joins, tmp_path):
    station, car = tmp_path / "station.jsonl", tmp_path / "car.jsonl"
    assert main(["pki", "init", str(tmp_path / "pki"), "--curve", "ed448"]) == 0
    secc, evcc = patience(tmp_path)
    common = f"--pki {tmp_path}/pki --install --authorization PnC --once --json"
    switch = {name: "--experimental-x448" if name in joins else "" for name in ("charger", "vehicle")}
    done = lab_sh(
        f"{PROGRAM} charger --interface vse {secc} {common} {switch['charger']} > {station} & "
        f"{PROGRAM} vehicle --interface vev {evcc} {common} {switch['vehicle']} --loops 3 > {car}; "
        "ev=$?; wait $!; echo station=$? vehicle=$ev"
    )
    *_, codes = done.stdout.splitlines()
    decisions = {}
    for name, file in (("charger", station), ("vehicle", car)):
        told = [json.loads(line) for line in file.read_text().splitlines()]
        decisions[name] = " ".join(e["why"] for e in told if e["event"] == "Decision")
    if len(joins) == 2:
        assert codes == "station=0 vehicle=0", done.stderr
        assert "a contract of DETST, not stored: it serves this session alone" in decisions["vehicle"]
    else:
        assert codes != "station=0 vehicle=0"
        (refusing,) = {"charger", "vehicle"} - {*joins}
        assert "--experimental-x448" in decisions[refusing]
    assert "PRIVATE" not in station.read_text() + car.read_text()


def test_the_experiment_is_switched_on_in_so_many_words(pki, tmp_path):
    TestPki(NOW, curve="ed448").write(tmp_path / "pki")
    for arguments, wanted in (((), False), (("--experimental-x448",), True)):
        given = options("--pki", tmp_path / "pki", "--install", *arguments)
        with trust.security(given, "EVCC", insecure=False) as security:
            held = security.wallet.provisioning
            assert (held.experimental_x448, held.agreement is not None) == (wanted, True)
        assert trust.back_end(given).__self__.experimental_x448 is wanted
    with pytest.raises(UsageError, match=r"--experimental-x448 is about contracts.*--install"):
        trust.back_end(options("--pki", pki, "--experimental-x448"))


def test_the_library_of_the_experiment_is_missed_before_a_car_drives(pki, monkeypatch):
    monkeypatch.setitem(sys.modules, "Crypto.PublicKey", None)
    with (
        pytest.raises(UsageError, match=r"--experimental-x448: .*iso15118-stack\[x448\]"),
        trust.security(options("--pki", pki, "--experimental-x448"), "EVCC", insecure=False),
    ):
        pass
    with trust.security(options("--pki", pki), "EVCC", insecure=False) as security:
        assert security.wallet.provisioning is not None


@pytest.mark.parametrize("command", ["charger", "vehicle"])
def test_installing_needs_a_whole_pki(command, pki, capsys):
    arguments = [
        command,
        "--interface",
        "lo",
        "--pki",
        str(pki / "secc" if command == "charger" else pki / "vehicle"),
    ]
    assert main([*arguments, "--install"]) == USAGE
    assert "pki init" in capsys.readouterr().err


def test_the_means_are_what_was_said():
    def means(*arguments, given=("EIM",)):
        return trust.with_contracts(options(*arguments), given)

    assert means() == ("EIM",)
    assert means("--install") == ("PnC", "EIM")
    assert means("--install", given=("EIM", "PnC")) == ("EIM", "PnC")
    assert means("--install", "--authorization", "pnc") == ("PnC",)
