"""OCSP responses and revocation lists that are fetched: from a real server on loopback, and under a clock of the test."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import http.server
import logging
import threading

import pytest
from support import drive, until
from test_tls import car, station, tree

from certs import crl, ocsp
from certs.ocsp import Revocation, responder_url
from certs.profiles import Role
from certs.responder import Responder
from iso15118.events import EndReason
from iso15118.runtime.events import Disconnected
from iso15118.runtime.revocation import LONGEST_S, RETRY_S, RevocationFeed, http_fetch
from iso15118.runtime.security import Security
from iso15118.tls.events import TlsFailed

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]
DAY = datetime.timedelta(days=1)
LIST = "https://crl.invalid/oem.crl"


@contextlib.contextmanager
def web(answers):
    """Serves {path: octets, or (status, octets)}; a function is called with what was posted. Its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = answers.get(self.path, (404, b""))
            found = found(body) if callable(found) else found
            status, octets = found if isinstance(found, tuple) else (200, found)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/good")
            self.end_headers()
            self.wfile.write(octets)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Sources:
    """Answers for the PKI of a station, as far as it is in reach."""

    def __init__(self, pki, identity):
        self.pki, self.identity = pki, identity
        self.now = pki.at
        self.asked = []
        self.out_of_reach = set()
        self.revoked = ()
        self.spoilt = None

    async def __call__(self, url, body):
        self.asked.append(url)
        if url in self.out_of_reach:
            raise OSError("no route to host")
        if self.spoilt is not None:
            return self.spoilt
        if body:
            responder = Responder(self.pki.authorities[Role.CPO_SUB_2], (self.identity.leaf,))
            return responder.answer(body, self.now)
        return self.pki.crl(Role.VEHICLE, self.revoked, self.now)

    def feed(self, **given):
        return RevocationFeed(self.identity, fetch=self, now=lambda: self.now, **given)


@pytest.fixture
def sources():
    pki = tree()
    return Sources(pki, pki.secc())


# --- what is kept ---------------------------------------------------------------------------------


async def test_the_staple_is_fetched_and_kept_fresh(sources):
    feed = sources.feed()
    assert feed.staple() == sources.identity.status, "until there is another"
    sources.now += DAY
    assert await feed.refresh()
    issuer = sources.identity.certificates[1]
    first = feed.staple()
    assert ocsp.check(first, sources.identity.leaf, issuer, sources.now).kind is Revocation.GOOD
    assert first != sources.identity.status
    assert await feed.refresh()
    assert sources.asked == [responder_url(sources.identity.leaf)], "it is good for days"
    sources.now += 4 * DAY
    assert await feed.refresh()
    assert feed.staple() != first


async def test_a_responder_out_of_reach_costs_nothing_while_the_old_response_is_valid(sources, caplog):
    feed = sources.feed()
    await feed.refresh()
    first = feed.staple()
    sources.now += 4 * DAY
    sources.out_of_reach = {responder_url(sources.identity.leaf)}
    with caplog.at_level(logging.WARNING):
        assert not await feed.refresh()
    assert "no route to host" in caplog.text
    assert feed.staple() == first
    sources.now += 4 * DAY
    assert feed.staple() == sources.identity.status, (
        "nothing better is left, and the log of the start tells so"
    )


@pytest.mark.parametrize("spoilt", [b"", b"gateway timeout", bytes(20_000)])
async def test_what_is_no_response_is_told_and_not_used(sources, caplog, spoilt):
    feed = sources.feed(lists=[LIST])
    sources.spoilt = spoilt
    with caplog.at_level(logging.WARNING):
        assert not await feed.refresh()
    assert feed.staple() == sources.identity.status
    assert feed.evidence().crls == ()
    assert caplog.text.count("OCSP response of") == 1
    assert caplog.text.count("revocation list of") == 1


async def test_an_older_response_does_not_replace_a_newer_one(sources, caplog):
    """A replay: valid still, and given before the certificate was revoked."""
    old = await sources(
        responder_url(sources.identity.leaf), ocsp.request(*sources.identity.certificates[:2])
    )
    sources.now += DAY
    feed = sources.feed()
    await feed.refresh()
    newest = feed.staple()
    sources.now += 4 * DAY
    sources.spoilt = old
    with caplog.at_level(logging.WARNING):
        assert not await feed.refresh()
    assert "older than the one that is kept" in caplog.text
    assert feed.staple() == newest


async def test_lists_are_fetched_and_kept_fresh(sources):
    feed = sources.feed(lists=[LIST, LIST])
    await feed.refresh()
    (first,) = feed.evidence().crls
    sources.now += 4 * DAY
    vehicle = sources.pki.vehicle()
    sources.revoked = (vehicle.leaf,)
    assert await feed.refresh()
    (second,) = feed.evidence().crls
    assert second != first
    issuer = vehicle.certificates[1]
    assert crl.check(second, vehicle.leaf, issuer, sources.now).kind is Revocation.REVOKED
    old, sources.now = first, sources.now + DAY
    sources.spoilt = old
    sources.now += 3 * DAY
    await feed.refresh()
    assert feed.evidence().crls == (second,)


async def test_a_list_is_asked_for_where_nobody_answers_for_the_leaf(sources):
    sources.identity = sources.pki.secc(defect="no-revocation-pointer")
    feed = sources.feed(lists=[LIST])
    assert await feed.refresh()
    assert sources.asked == [LIST]


async def test_it_asks_again_after_a_while(sources, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)
        sources.now += datetime.timedelta(seconds=seconds)
        if len(waited) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    sources.out_of_reach = {LIST}
    with pytest.raises(asyncio.CancelledError):
        await sources.feed(lists=[LIST]).run()
    assert waited[:2] == [RETRY_S, RETRY_S]
    waited.clear()
    sources.out_of_reach = set()
    with pytest.raises(asyncio.CancelledError):
        await sources.feed(lists=[LIST]).run()
    assert waited == [LONGEST_S] * 4, "a clock that is set has to be noticed"


async def test_a_response_that_is_half_over_when_it_comes_is_not_asked_for_without_end(sources, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    at = sources.now
    feed = RevocationFeed(sources.identity, fetch=sources, now=lambda: at + 5 * DAY)
    with pytest.raises(asyncio.CancelledError):
        await feed.run()
    assert feed.staple() != sources.identity.status
    assert waited == [RETRY_S]


async def test_a_list_that_claims_to_be_valid_for_years_is_not_kept(sources, caplog):
    authority = sources.pki.authorities[Role.OEM_SUB_2]
    sources.spoilt = crl.issue(authority, {}, sources.now, valid=3000 * DAY)
    feed = sources.feed(lists=[LIST])
    await feed.refresh()
    assert feed.evidence().crls == ()
    assert "more than a week" in caplog.text


# --- over HTTP ------------------------------------------------------------------------------------


async def test_over_http():
    with web({"/good?x=1": b"octets", "/posted": lambda body: body[::-1]}) as address:
        assert await http_fetch(f"{address}/good?x=1", b"") == b"octets"
        assert await http_fetch(f"{address}/posted", b"abc") == b"cba"


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        ("/none", None, "status 404"),
        ("/moved", (302, b""), "status 302"),
        ("/large", bytes(crl.MAX_OCTETS + 1), "more than"),
    ],
)
async def test_what_comes_over_http_is_bounded(path, answer, told):
    with web({path: answer} if answer is not None else {}) as address, pytest.raises(OSError, match=told):
        await http_fetch(address + path, b"")


@pytest.mark.parametrize("url", ["http://host:99999/", "http://[::1/", "http://host/\u20ac"])
async def test_an_address_that_makes_no_sense_is_told(url):
    with pytest.raises(OSError):
        await http_fetch(url.replace("host", "127.0.0.1"), b"")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http:///x", "", "//host"])
async def test_other_addresses_are_not_asked(url):
    with pytest.raises(OSError, match="no address of HTTP"):
        await http_fetch(url, b"")


async def test_a_server_that_is_not_there():
    with pytest.raises(OSError):
        await http_fetch("http://127.0.0.1:1/", b"")


# --- at a charger ---------------------------------------------------------------------------------


async def test_a_charger_hears_of_a_vehicle_that_is_revoked_since(sources, nothing_left):
    vehicle_identity = sources.pki.vehicle()
    feed = sources.feed(lists=[LIST])
    sources.now = datetime.datetime.now(datetime.UTC)
    await feed.refresh()
    security = Security(sources.identity, staple=feed.staple, evidence=feed.evidence)
    async with station(security) as (charger, _, seen):
        vehicle, bench, _ = car(charger, vehicle_identity)
        result = await drive(vehicle, bench)
        assert result.reason is EndReason.COMPLETED, result
        await until(lambda: seen.of(Disconnected))
        sources.revoked = (vehicle_identity.leaf,)
        feed._lists._kept.clear()
        await feed.refresh()
        vehicle, bench, _ = car(charger, vehicle_identity)
        result = await drive(vehicle, bench)
        assert result.reason is EndReason.SECURITY, result
        await until(lambda: seen.of(TlsFailed))
        assert "revoked" in seen.of(TlsFailed)[0].reason
