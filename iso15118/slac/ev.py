"""The car's side of matching: ask who is there, make a sound, choose by what is reported, take the key.

One procedure, to be read from `_connect` down. What EVSEs send on their own account, at any time, is
recorded beside it (`respond`), and judged: who answers what it was not asked is reported, and preferred last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from iso15118.config import SlacConfig
from iso15118.events import Role, TimerExpired
from iso15118.machine import Entropy
from iso15118.slac.attenuation import Candidate, Choice, Ranked, choose, doubts, rank
from iso15118.slac.constants import MATCH_CNF_LENGTH, NUM_SOUNDS, TIME_OUT
from iso15118.slac.dlink import DLink, LinkState
from iso15118.slac.events import (
    EvseChosen,
    EvseHeard,
    MatchingFailed,
    MatchingStarted,
    SlacFrameDropped,
    SuspiciousEvse,
)
from iso15118.slac.host import message_from
from iso15118.slac.keys import NetworkKey
from iso15118.slac.link import LeaveError, LinkMachine, NoLinkError
from iso15118.slac.proof import Proof, prove
from iso15118.wire.homeplug import (
    BROADCAST,
    AttenCharInd,
    AttenCharRsp,
    Frame,
    MnbcSoundInd,
    SlacMatchCnf,
    SlacMatchReq,
    SlacParmCnf,
    SlacParmReq,
    StartAttenCharInd,
    ValidateCnf,
)
from iso15118.wire.homeplug_names import name_of

RUN_ID_OCTETS: Final = 8
RANDOM_OCTETS: Final = 16
STARTS: Final = 3
"""C_EV_start_atten_char_inds."""
MAX_SOUNDS: Final = 20
"""So many fit into the EVSE's window; an EVSE that wants more gets these."""
MAX_TIME_OUT: Final = 10
"""In 100 ms: a window that ends within TT_EV_atten_results."""
MAX_EVSES: Final = 32
"""EVSEs in earshot beyond these are not heard."""
UNASKED_ANSWERS: Final = 2
"""So many answers more than requests are odd; one may be a frame that came twice."""


class NoMatchError(Exception):
    """Ends an attempt, and why. Caught by the machine, never by a driver."""


@dataclass(slots=True)
class Attempt:
    """What is known of one attempt, and of the EVSEs that take part in it, by their MAC.

    `answers` counts each EVSE's CM_SLAC_PARM.CNF, `oddities` holds what makes it hard to believe.
    """

    run_id: bytes
    requests: int = 0
    num_sounds: int = 0
    time_out: int = 0
    started: bool = False
    sounds: int = 0
    answers: dict[bytes, int] = field(default_factory=dict)
    oddities: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    reports: dict[bytes, Candidate] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every EVSE that answered has reported."""
        return self.reports.keys() == self.answers.keys()


class EvSlac(LinkMachine):
    """Machine. `mac` is the car's own address on the port; see the package for inputs and outputs."""

    role: Role = "EVCC"
    persistent = False

    def __init__(self, mac: bytes, config: SlacConfig, entropy: Entropy) -> None:
        super().__init__(mac, config, entropy)
        self._attempt: Attempt | None = None
        self._asked: set[bytes] = set()  # EVSEs of whom a proof or the key was asked since MATCH

    def _enter(self, state: LinkState, why: str = "") -> None:
        super()._enter(state, why)
        if state in (LinkState.LEAVING, LinkState.CLOSED):
            self._attempt = None

    # --- attempts -----------------------------------------------------------------------------

    async def _connect(self) -> bytes:
        """Attempts, TT_matching_rate apart [V2G3-A09-124], until one succeeds or the patience ends [V2G3-A09-125]."""
        self._asked.clear()
        end = self.now + self.times.matching_repetition_s
        for number in range(1, self.config.match_attempts + 1):
            try:
                return await self._match(number)
            except NoMatchError as error:
                reason = str(error)
            self.emit(MatchingFailed, attempt=number, reason=reason)
            await self._start_over(reason)
            if number < self.config.match_attempts:
                await self.sleep(self.times.matching_rate_s)
            if self.now >= end:
                break
        raise NoLinkError(reason)

    async def _start_over(self, why: str) -> None:
        """A key already set is of no use any more."""
        if self.state is LinkState.JOINING:
            await self._leave(why)
            if self._wanted is not DLink.MATCH:
                raise LeaveError(why)
            self._enter(LinkState.MATCHING)

    async def _match(self, number: int) -> bytes:
        """One attempt, from a fresh run id to the joined network; the EVSE's host MAC."""
        attempt = self._attempt = Attempt(self.entropy(RUN_ID_OCTETS))
        self.emit(MatchingStarted, attempt=number, run_id=attempt.run_id)
        await self._ask_around(attempt)
        await self._sound(attempt)
        evse = await self._choose(self._ranking(attempt))
        await self._join(await self._request_key(evse, attempt))
        return evse

    # --- one attempt --------------------------------------------------------------------------

    async def _ask_around(self, attempt: Attempt) -> None:
        """CM_SLAC_PARM.REQ until an EVSE answers; then a moment for the others in earshot."""
        times = self.times
        for _ in range(max(1, round(times.parm_for_s / times.match_response_s))):
            attempt.requests += 1
            self.send(SlacParmReq(run_id=attempt.run_id), BROADCAST)
            if await self._until(lambda: bool(attempt.answers), self.now + times.match_response_s):
                await self.sleep(times.collect_s)
                return
        self.emit(TimerExpired, timer="TT_match_response")
        raise NoMatchError(f"no CM_SLAC_PARM.CNF to {attempt.requests} requests")

    async def _sound(self, attempt: Attempt) -> None:
        """Announce the sounds, make them; EVSEs report what their modems hear of them."""
        start = StartAttenCharInd(
            run_id=attempt.run_id,
            num_sounds=attempt.num_sounds,
            time_out=attempt.time_out,
            forwarding_sta=self.mac,
        )
        by = self.now + self.times.atten_results_s
        attempt.started = True
        for _ in range(STARTS):
            self.send(start, BROADCAST)
            await self.sleep(self.times.batch_interval_s)
        for left in reversed(range(attempt.num_sounds)):
            attempt.sounds += 1
            random = self.entropy(RANDOM_OCTETS)
            self.send(MnbcSoundInd(run_id=attempt.run_id, cnt=left, random=random), BROADCAST)
            if left:
                await self.sleep(self.times.batch_interval_s)
        if not attempt.complete:
            await self._until(lambda: attempt.complete, by)

    def _ranking(self, attempt: Attempt) -> list[Ranked]:
        """What the reports say, once more: doubts may have come up since."""
        if not attempt.reports:
            self.emit(TimerExpired, timer="TT_EV_atten_results", requirement="V2G3-A09-31")
            raise NoMatchError("no CM_ATTEN_CHAR.IND from any EVSE")
        return [self._ranked(candidate, attempt) for candidate in attempt.reports.values()]

    def _ranked(self, candidate: Candidate, attempt: Attempt) -> Ranked:
        remarks = candidate.doubts + attempt.oddities.get(candidate.mac, ())
        doubted = replace(candidate, doubts=remarks)
        return rank(doubted, self.config.attenuation_limits, self.config.attn_tx_db)

    async def _choose(self, ranking: list[Ranked]) -> bytes:
        """The EVSE at our cable, proven by validation where its attenuation leaves a doubt."""
        choice = choose(ranking, self.config.attenuation_limits)
        if choice is None:
            nearest = min(r.overall_db for r in ranking)
            raise NoMatchError(f"no EVSE near enough: the nearest of {len(ranking)} at {nearest:.1f} dB")
        mac, why = choice.order[0].candidate.mac, choice.why
        if choice.prove:
            mac, why = await self._proven(choice)
        self.emit(EvseChosen, mac=mac, why=why)
        return mac

    async def _proven(self, choice: Choice) -> tuple[bytes, str]:
        """The first to pass validation; else the nearest that needs not, or did not fail where that will do.

        One that is hard to believe has to pass, unless all are.
        """
        by = self.now + self.times.validation_for_s
        acceptable = {Proof.NOT_REQUIRED}
        if not self.config.attenuation_limits.proof_required:
            acceptable.add(Proof.REFUSED)
        all_doubtful = bool(choice.order[0].candidate.doubts)
        unproven: tuple[bytes, str] | None = None
        for ranked in choice.order:
            mac = ranked.candidate.mac
            self._asked.add(mac)
            proof = await prove(self, mac, by)
            if proof is Proof.PASSED:
                return mac, f"{choice.why}; it counted our toggles"
            believable = all_doubtful or not ranked.candidate.doubts
            if proof in acceptable and believable and unproven is None:
                unproven = mac, f"{choice.why}; validation: {proof.value}"
        if unproven is None:
            raise NoMatchError(f"{choice.why}; no EVSE passed validation")
        return unproven

    async def _request_key(self, evse: bytes, attempt: Attempt) -> NetworkKey:
        """CM_SLAC_MATCH.REQ to the chosen one. Its key is taken as it is, whether or not the NID derives from it."""

        def accept(item: object) -> SlacMatchCnf | None:
            answer = message_from(evse, SlacMatchCnf, item)
            if answer is None or answer.mvf_length != MATCH_CNF_LENGTH:
                return None
            ids = (answer.run_id, answer.pev_mac, answer.evse_mac)
            return answer if ids == (attempt.run_id, self.mac, evse) else None

        self._asked.add(evse)
        request = SlacMatchReq(run_id=attempt.run_id, pev_mac=self.mac, evse_mac=evse)
        confirmation = await self.ask(request, evse, accept, self.times.match_response_s)
        if confirmation is None:
            self.emit(TimerExpired, timer="TT_match_response")
            raise NoMatchError(f"no CM_SLAC_MATCH.CNF from {evse.hex(':')}")
        return NetworkKey(confirmation.nid, confirmation.nmk)

    async def _join(self, key: NetworkKey) -> None:
        """Give the modem the key and wait until it sees the EVSE's."""
        by = self.now + self.times.join_s
        self._enter(LinkState.JOINING, "key received")
        self.key = key
        if not await self.modem.set_key(key):
            raise NoMatchError("the modem does not take the key")
        if not await self.modem.link_up(by):
            self.emit(TimerExpired, timer="TT_match_join")
            raise NoMatchError(f"the modems did not find each other within {self.times.join_s:g} s")

    async def _until(self, condition: Callable[[], bool], until: float) -> bool:
        """Whether something recorded by `respond` makes `condition` true before `until`."""
        reached = await self.wait(lambda item: (isinstance(item, Attempt) and condition()) or None, until)
        return reached is not None

    # --- what EVSEs send ----------------------------------------------------------------------

    def respond(self, frame: Frame) -> None:
        """Record and judge what no procedure waits for."""
        match frame.message:
            case SlacParmCnf() as offer:
                self._offered(offer, frame.source)
            case AttenCharInd() as report:
                self._reported(report, frame.source)
            case SlacMatchCnf() | ValidateCnf() as message:
                if frame.source not in self._asked:
                    self._suspect(frame.source, f"{name_of(message)} that nobody asked for")
            case _:
                super().respond(frame)

    def _offered(self, offer: SlacParmCnf, evse: bytes) -> None:
        """CM_SLAC_PARM.CNF: an EVSE is in earshot. Until the sounds begin, the most demanding one sets their number."""
        attempt = self._attempt
        if offer.forwarding_sta != self.mac:
            self._suspect(evse, "CM_SLAC_PARM.CNF to us, meant for another EV")
        elif attempt is None or offer.run_id != attempt.run_id:
            self.report(SlacFrameDropped, reason="CM_SLAC_PARM.CNF of another run", source=evse)
        elif evse in attempt.answers or len(attempt.answers) < MAX_EVSES:
            attempt.answers[evse] = attempt.answers.get(evse, 0) + 1
            if attempt.answers[evse] == attempt.requests + UNASKED_ANSWERS:
                self._suspect(evse, "answers more often than it is asked")
            if not attempt.started:
                attempt.num_sounds = max(attempt.num_sounds, min(offer.num_sounds or NUM_SOUNDS, MAX_SOUNDS))
                attempt.time_out = max(attempt.time_out, min(offer.time_out or TIME_OUT, MAX_TIME_OUT))
            self._lane.offer(attempt)

    def _reported(self, report: AttenCharInd, evse: bytes) -> None:
        """CM_ATTEN_CHAR.IND: answered as often as it comes; the newest counts [V2G3-A09-47]."""
        attempt = self._attempt
        if attempt is None or report.run_id != attempt.run_id or report.source_address != self.mac:
            self.report(SlacFrameDropped, reason="CM_ATTEN_CHAR.IND of another run", source=evse)
        elif report.num_sounds == 0 or not report.aag:
            self.report(SlacFrameDropped, reason="CM_ATTEN_CHAR.IND without a measurement", source=evse)
        elif evse not in attempt.answers:
            self._suspect(evse, "reports an attenuation, but has not answered CM_SLAC_PARM.REQ")
        else:
            self.send(AttenCharRsp(run_id=attempt.run_id, source_address=self.mac), evse)
            self._record(report, evse, attempt)
            self._lane.offer(attempt)

    def _record(self, report: AttenCharInd, evse: bytes, attempt: Attempt) -> None:
        remarks = doubts(report.aag, report.num_sounds, attempt.sounds)
        candidate = Candidate(evse, report.aag, report.num_sounds, remarks)
        known = attempt.reports.get(evse)
        attempt.reports[evse] = candidate
        if known is not None:
            if known.aag != report.aag:
                self._suspect(evse, "changes its report")
            return
        ranked = self._ranked(candidate, attempt)
        self.emit(
            EvseHeard,
            mac=evse,
            num_sounds=report.num_sounds,
            overall_db=ranked.overall_db,
            finding=ranked.finding.value,
            doubts=ranked.candidate.doubts,
        )
        for remark in remarks:
            self.report(SuspiciousEvse, mac=evse, reason=remark)

    def _suspect(self, evse: bytes, oddity: str) -> None:
        """Report what an honest EVSE does not do, and hold it against this one while others are to be had."""
        self.report(SuspiciousEvse, mac=evse, reason=oddity)
        if self._attempt is not None and evse in self._attempt.answers:
            known = self._attempt.oddities.get(evse, ())
            self._attempt.oddities[evse] = known if oddity in known else (*known, oddity)
