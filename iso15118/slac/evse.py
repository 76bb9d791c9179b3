"""The charger's side of matching: answers every EV in earshot by the table of `runs`, gives one the key.

Bounded: so many runs at once, so many new ones a second; a flood costs neither memory nor a car under way.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

from iso15118.config import SlacConfig
from iso15118.events import Role, TimerExpired
from iso15118.machine import NEVER, Entropy
from iso15118.rate import RateLimit
from iso15118.slac import runs
from iso15118.slac.dlink import DLink, LinkState, PilotLevel
from iso15118.slac.events import RunEntered, SlacFrameDropped, Validating
from iso15118.slac.link import LeaveError, LinkMachine, NoLinkError
from iso15118.slac.runs import Phase, Run, Step, View
from iso15118.wire.homeplug import AttenProfileInd, Frame, SlacParmReq, ValidateReq

PILOT_CHANGES: Final = 64
"""How many changes of the pilot are remembered; a validation has six."""


@dataclass(frozen=True, slots=True)
class Matched:
    """An EV got the key."""

    run: Run


@dataclass(frozen=True, slots=True)
class Unmatched:
    """No EV could be matched, and why."""

    reason: str


class EvseSlac(LinkMachine):
    """Machine. `mac` is the charger's own address on the port; see the package for inputs and outputs."""

    role: Role = "SECC"
    persistent = True

    def __init__(self, mac: bytes, config: SlacConfig, entropy: Entropy) -> None:
        super().__init__(mac, config, entropy)
        self._runs: dict[tuple[bytes, bytes], Run] = {}
        self._init_due = NEVER
        self._requests = RateLimit(config.requests_per_s)
        self._half_open = math.ceil(config.requests_per_s * self.times.start_s)
        self._early: tuple[float, Frame] | None = None
        self._changes: deque[tuple[float, bool]] = deque(maxlen=PILOT_CHANGES)

    # --- the Machine interface ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        due = min((run.due for run in self._runs.values()), default=NEVER)
        return min(super().deadline, due, self._init_due)

    def tick(self, now: float) -> None:
        """Let time pass."""
        super().tick(now)
        for key, run in list(self._runs.items()):
            if run.due <= now and self._runs.get(key) is run:
                self._follow(run, runs.EXPIRY[run.phase](run, self._view(run)))
        if self._init_due <= now:
            self._init_due = NEVER
            self.emit(TimerExpired, timer="TT_EVSE_SLAC_init")
            self._lane.offer(Unmatched(f"no CM_SLAC_PARM.REQ within {self.times.slac_init_s:g} s"))

    # --- inputs -------------------------------------------------------------------------------

    def _ask(self, request: DLink) -> None:
        super()._ask(request)
        if request is DLink.MATCH and self.state is LinkState.MATCHING:
            self._await_first()

    def _measured(self, level: PilotLevel) -> None:
        ready = level.cp is not None and level.cp.ready
        if not self._changes or self._changes[-1][1] is not ready:
            self._changes.append((self.now, ready))
        super()._measured(level)

    def _enter(self, state: LinkState, why: str = "") -> None:
        super()._enter(state, why)
        if state in (LinkState.LEAVING, LinkState.CLOSED):
            self._init_due = NEVER
            for run in list(self._runs.values()):
                self._drop(run, why)

    # --- matching -----------------------------------------------------------------------------

    async def _connect(self) -> bytes:
        """Listen until an EV has the key, then wait for its modem to join."""
        self._listen()
        outcome: Matched | Unmatched | None = None
        while not isinstance(outcome, Matched):
            if outcome is not None:
                self._no_link(outcome.reason)
            outcome = await self.wait(_outcome)
        self._enter(LinkState.JOINING, "key given")
        if not await self.modem.link_up(self.now + self.times.join_s):
            self.emit(TimerExpired, timer="TT_match_join")
            raise NoLinkError(f"the EV did not join within {self.times.join_s:g} s")
        return outcome.run.ev_mac

    def _listen(self) -> None:
        """Matching may begin; an EV that was quicker than the pilot is not forgotten."""
        self._await_first()
        early, self._early = self._early, None
        if early is not None and self.now - early[0] <= self.times.early_parm_s:
            self.respond(early[1])

    def _await_first(self) -> None:
        """No EV has been heard of: TT_EVSE_SLAC_init."""
        if not self._runs:
            self._init_due = min(self._init_due, self.now + self.times.slac_init_s)

    # --- frames -------------------------------------------------------------------------------

    def respond(self, frame: Frame) -> None:
        """Answer an EV, as its run and the table say."""
        match frame.message:
            case SlacParmReq() as request:
                self._asked(request, frame)
            case AttenProfileInd(pev_mac=ev_mac) as profile if self.modem.is_local(frame.source):
                for run in self._runs_of(ev_mac):
                    self._handle(run, profile)
            case ValidateReq() as request:
                for run in self._runs_of(frame.source):
                    self._handle(run, request)
            case message:
                known = self._runs.get((frame.source, getattr(message, "run_id", b"")))
                if known is not None:
                    self._handle(known, message)
                else:
                    super().respond(frame)

    def _runs_of(self, ev_mac: bytes) -> list[Run]:
        return [run for run in self._runs.values() if run.ev_mac == ev_mac]

    def _handle(self, run: Run, message: Any) -> None:
        handler = runs.TABLE[run.phase].get(type(message))
        step = handler(run, message, self._view(run)) if handler is not None else None
        if step is not None:
            heard = step.run and replace(step.run, heard=self.now)
            self._follow(run, replace(step, run=heard))

    def _view(self, run: Run | None) -> View:
        slot_free = not any(other.phase.validating for other in self._runs.values() if other is not run)
        return View(self.mac, self.key, self.config, self._changes, slot_free, self.now)

    # --- a new run ----------------------------------------------------------------------------

    def _asked(self, request: SlacParmReq, frame: Frame) -> None:
        """CM_SLAC_PARM.REQ: an EV looks for EVSEs, or starts over."""
        if not self._requests.admit(self.now):
            reason = "too many CM_SLAC_PARM.REQ"
            self.report(SlacFrameDropped, reason=reason, source=frame.source)
        elif self.state is LinkState.MATCHING and not self.unplugged:
            self._begin(frame.source, request.run_id)
        elif self._starts_over(frame.source, request.run_id):
            if self.state is LinkState.MATCHED:
                self._no_link("the EV starts over")
            self._early = (self.now, frame)
            self._lane.interrupt(LeaveError("the EV starts over"))
        elif self.state in (LinkState.LEAVING, LinkState.UNMATCHED, LinkState.MATCHING):
            self._early = (self.now, frame)

    def _starts_over(self, ev_mac: bytes, run_id: bytes) -> bool:
        """Whether the matched EV wants to match again, and its link is indeed down; not while it is asleep.

        Some cars always use the same run id; soon after the match it is a request that took its time.
        """
        matched = [run for run in self._runs_of(ev_mac) if run.phase is Phase.MATCHED]
        late = any(r.run_id == run_id and self.now - r.heard <= self.times.start_s for r in matched)
        awake = self.state is not LinkState.PAUSED
        return bool(matched) and awake and not late and not self.modem.up

    def _begin(self, ev_mac: bytes, run_id: bytes) -> None:
        self._init_due = NEVER
        known = self._runs.get((ev_mac, run_id))
        if known is not None and known.phase is Phase.SOUNDING:
            self.send(runs.parameters(known), ev_mac)  # the request took its time; its EV is further on
            return
        for run in self._runs_of(ev_mac):
            if run is not known:
                self._drop(run, "the EV starts over")
        begun, confirmation = runs.begin(ev_mac, run_id, self._view(None))
        self._follow(begun, Step(begun, (confirmation,), "CM_SLAC_PARM.REQ"))
        self._make_room([r for r in self._runs.values() if r.phase is Phase.WAIT_START], self._half_open)

    def _make_room(self, among: list[Run], limit: int) -> None:
        """Where there are more than `limit`, the least advanced gives way; among such, the one silent for longest."""
        if len(among) > limit:
            victim = min(among, key=lambda run: (runs.PROGRESS[run.phase], run.heard))
            self._drop(victim, f"more than {limit} at once")

    # --- steps --------------------------------------------------------------------------------

    def _follow(self, run: Run, step: Step) -> None:
        """Carry out what the table says."""
        for message in step.send:
            self.send(message, run.ev_mac)
        if step.run is None:
            self._drop(run, step.why)
        else:
            before = self._runs.get((run.ev_mac, run.run_id))
            self._runs[run.ev_mac, run.run_id] = step.run
            self._entered(before.phase if before is not None else None, step.run, step.why)
        if step.failed and not any(r.phase is not Phase.WAIT_START for r in self._runs.values()):
            self._lane.offer(Unmatched(step.why))
        elif step.run is None and self.state is LinkState.MATCHING:
            self._await_first()

    def _entered(self, before: Phase | None, run: Run, why: str) -> None:
        """The run is in a new phase: tell it, and do what goes beyond the run."""
        if run.phase is before:
            return
        self.emit(RunEntered, ev_mac=run.ev_mac, run_id=run.run_id, phase=run.phase.value, why=why)
        self._watch(before, run.phase, run.ev_mac)
        if run.phase is Phase.SOUNDING:
            under_way = [r for r in self._runs.values() if r.phase is not Phase.WAIT_START]
            self._make_room(under_way, self.config.parallel)
        elif run.phase is Phase.MATCHED:
            for other in [r for r in self._runs.values() if r is not run]:
                self._drop(other, "another EV is matched")
            self._lane.offer(Matched(run))

    def _drop(self, run: Run, why: str) -> None:
        """The run is over."""
        del self._runs[run.ev_mac, run.run_id]
        self.emit(RunEntered, ev_mac=run.ev_mac, run_id=run.run_id, phase="gone", why=why)
        self._watch(run.phase, None, run.ev_mac)

    def _watch(self, before: Phase | None, after: Phase | None, ev_mac: bytes) -> None:
        """Tell when the pilot becomes a matter of validation, and when it is one of charging again."""
        was, on = (phase is not None and phase.validating for phase in (before, after))
        if was is not on:
            self.emit(Validating, on=on, ev_mac=ev_mac)


def _outcome(item: object) -> Matched | Unmatched | None:
    return item if isinstance(item, Matched | Unmatched) else None
