"""The clock, and certificates by it."""

import datetime

import pytest

from certs.pki import TestPki as Pki
from iso15118.runtime.checkup.certificates import check_certificates
from iso15118.runtime.checkup.clock import Clock, judge_clock
from iso15118.runtime.checkup.findings import Level

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("year", "drift_s", "level"),
    [
        (1970, 0.0, Level.ERROR),
        (2000, 0.0, Level.ERROR),
        (2026, 0.001, Level.OK),
        (2026, -0.5, Level.WARNING),
        (2099, 0.0, Level.ERROR),
    ],
)
def test_clocks(year, drift_s, level):
    at = datetime.datetime(year, 1, 1, 0, 0, 1, tzinfo=datetime.UTC)
    finding = judge_clock(at.timestamp(), drift_s)
    assert finding.level is level
    assert finding.found.startswith(str(year))


def test_the_clock_of_this_machine_is_looked_at():
    assert "T" in Clock().check().found


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki") / "pki"
    Pki(NOW).write(folder)
    return folder


def test_a_good_pki(pki):
    found = list(check_certificates(pki, NOW))
    assert {f.level for f in found} == {Level.OK}
    assert len(found) == 5


def test_one_identity_alone(pki):
    (finding,) = check_certificates(pki / "secc", NOW)
    assert finding.level is Level.OK


def test_what_ends_soon_is_warned_of(pki):
    (finding,) = check_certificates(pki / "secc", NOW + datetime.timedelta(days=80))
    assert finding.level in (Level.WARNING, Level.ERROR)


def test_what_has_expired_is_refused(pki):
    (finding,) = check_certificates(pki / "secc", NOW + datetime.timedelta(days=400))
    assert finding.level is Level.ERROR
    assert "expired" in finding.cause


def test_a_clock_before_its_time_refuses_too(pki):
    (finding,) = check_certificates(pki / "secc", NOW - datetime.timedelta(days=400))
    assert finding.level is Level.ERROR


def test_a_broken_identity(pki, tmp_path):
    broken = tmp_path / "secc"
    broken.mkdir()
    for file in (pki / "secc").iterdir():
        if file.is_file():
            (broken / file.name).write_bytes(b"nothing")
    found = list(check_certificates(broken, NOW))
    assert [f.level for f in found] == [Level.ERROR]


def test_an_empty_directory(tmp_path):
    (finding,) = check_certificates(tmp_path, NOW)
    assert finding.level is Level.ERROR
