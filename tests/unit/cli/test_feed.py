"""--fetch-staple and --crl: what a charger is given to fetch."""

from __future__ import annotations

import argparse
import asyncio
import datetime

import pytest

from certs.chain import Evidence
from certs.pki import TestPki
from iso15118.cli import trust
from iso15118.cli.charger import _with_feed
from iso15118.cli.main import UsageError
from iso15118.config import SeccConfig
from iso15118.runtime.security import Security

PKI = TestPki(datetime.datetime.now(datetime.UTC))
FILES = Evidence(ocsp=(b"a response",), crls=(b"a list",))


def asked(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    trust.add_feed(parser)
    return parser.parse_args(options)


def given(**more) -> Security:
    return Security(PKI.secc(), **more)


def test_nothing_is_fetched_unless_it_is_asked_for():
    security = given()
    assert trust.feed(asked(), security) == (security, None)


@pytest.mark.parametrize("options", [["--fetch-staple"], ["--crl", "http://crl.invalid/"]])
def test_it_is_about_certificates(options):
    with pytest.raises(UsageError, match="--pki DIR"):
        trust.feed(asked(*options), None)


def test_a_staple_that_is_fetched():
    security, feed = trust.feed(asked("--fetch-staple"), given())
    assert feed is not None
    assert security.staple == feed.staple
    assert security.staple() == security.identity.status, "the one of the directory until there is another"
    assert security.evidence is None, "nothing is known of vehicles"


def test_lists_come_on_top_of_files():
    security, feed = trust.feed(asked("--crl", "http://crl.invalid/"), given(evidence=lambda: FILES))
    assert security.staple is None
    assert security.evidence() == FILES
    octets = PKI.crl(PKI.vehicle().role, (), PKI.at)
    assert feed._lists.store("http://crl.invalid/", octets, PKI.at) == ""
    assert security.evidence() == Evidence(FILES.ocsp, (*FILES.crls, octets))


def test_lists_alone():
    security, _ = trust.feed(asked("--crl", "http://crl.invalid/"), given())
    assert security.evidence() == Evidence()


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [[], ["--crl", "nowhere"]])
async def test_a_charger_serves_with_what_is_fetched(options, caplog):
    served = []

    async def serve(args, config, security):
        await asyncio.sleep(0)
        served.append(security)
        return 7

    assert await _with_feed(serve, asked(*options), SeccConfig(), given()) == 7
    assert (served[0].evidence is not None) == bool(options)
    assert ("nowhere cannot be asked" in caplog.text) == bool(options), "told before the first car comes"
