"""What is revoked, kept fresh: the OCSP response a charger staples, and lists about vehicles, fetched in time.

    feed = RevocationFeed(identity, lists=("https://crl.example/oem.crl",))
    security = Security(identity, staple=feed.staple, evidence=feed.evidence)
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.run())

When to ask is decided by the caches of `certs`; this asks. Nothing is asked that was not configured: the responder
that the own certificate names, and the addresses of lists.
"""

from __future__ import annotations

import asyncio
import datetime
import http.client
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from certs.chain import Evidence
from certs.crl import MAX_OCTETS, ListCache
from certs.identity import Identity
from certs.ocsp import Revocation, StapleCache

RETRY_S: Final = 300.0
"""Nobody is asked more often, after a failure as well as where what comes is half over already: it is good for days."""
LONGEST_S: Final = 3600.0
"""A clock that is set is noticed within this time."""
TIMEOUT_S: Final = 10.0
_LOG: Final = logging.getLogger("iso15118.runtime")

Fetch = Callable[[str, bytes], Awaitable[bytes]]
"""What is at an address: posts the octets as an OCSP request where there are some; OSError where nothing comes."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def http_fetch(url: str, body: bytes) -> bytes:
    """Over HTTP or HTTPS, in a thread: one answer of at most 1 MiB within ten seconds, no redirection. See `Fetch`."""
    return await asyncio.to_thread(_fetch, url, body)


def _fetch(url: str, body: bytes) -> bytes:
    try:
        return _asked(url, body)
    except (http.client.HTTPException, ValueError) as error:  # ValueError: an address that makes no sense
        raise OSError(f"{type(error).__name__} {error}") from None


def _asked(url: str, body: bytes) -> bytes:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise OSError(f"{url[:100]!r} is no address of HTTP")
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/ocsp-request"} if body else {}
    try:
        connection.request("POST" if body else "GET", path, body or None, headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"status {answer.status}")
        octets: bytes = answer.read(MAX_OCTETS + 1)
    finally:
        connection.close()
    if len(octets) > MAX_OCTETS:
        raise OSError(f"more than {MAX_OCTETS} octets")
    return octets


class RevocationFeed:
    """Fetches for one identity, and the `lists` (addresses of CRLs) about vehicles; `run` does until it is cancelled.

    A source that is out of reach costs nothing while what is kept is valid; each failure is logged.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        lists: Iterable[str] = (),
        fetch: Fetch = http_fetch,
        now: Callable[[], datetime.datetime] = _now,
    ) -> None:
        issuers = identity.certificates[1:2]
        self._staples = StapleCache(identity.certificates[: len(issuers)], issuers)
        self._lists = ListCache(lists)
        self._identity, self._fetch, self._now = identity, fetch, now

    def staple(self) -> bytes:
        """The newest response for the own certificate; the one of the identity until there is another."""
        fetched = self._staples.staples(self._now())
        return (fetched[0] if fetched else b"") or self._identity.status

    def evidence(self) -> Evidence:
        """All lists that are there; whoever judges a chain looks whether they are valid and by whom."""
        return Evidence(crls=self._lists.kept)

    async def run(self) -> None:
        """Ask whatever is due, again and again."""
        while True:
            await self.refresh()
            due = min(self._staples.due_at(), self._lists.due_at())
            wait_s = min((due - self._now()).total_seconds(), LONGEST_S) if due > self._now() else 0.0
            await asyncio.sleep(max(RETRY_S, wait_s))

    async def refresh(self) -> bool:
        """Ask whatever is due now, once; whether all of it came."""
        asked = [self._ask_responder(), self._ask_lists()]
        return all(await asyncio.gather(*asked))

    async def _ask_responder(self) -> bool:
        good = True
        for query in self._staples.due(self._now()):
            octets = await self._octets(query.url, query.body)
            if octets is None:
                good = False
                continue
            status = self._staples.store(query, octets, self._now())
            if status.kind is not Revocation.GOOD:
                _LOG.warning("OCSP response of %s: %s", query.url, status.detail or status.kind.value)
                good = status.kind is Revocation.REVOKED
        return good

    async def _ask_lists(self) -> bool:
        good = True
        for url in self._lists.due(self._now()):
            octets = await self._octets(url, b"")
            problem = "" if octets is None else self._lists.store(url, octets, self._now())
            if problem:
                _LOG.warning("revocation list of %s: %s", url, problem)
            good = good and octets is not None and not problem
        return good

    async def _octets(self, url: str, body: bytes) -> bytes | None:
        try:
            return await self._fetch(url, body)
        except OSError as error:
            _LOG.warning("%s cannot be asked: %s", url, error)
            return None
