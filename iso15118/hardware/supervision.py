"""What is wrong, judged again and again: rules over a situation, and how long each has been broken.

A rule is a pure function of a situation (see `evse_rules`, `ev_rules`) that says in words what it does not like.
It counts once it has lasted for the rule's time; a doubt that goes away in time never counted.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hal.types import Fault, Severity
from iso15118.hardware import events

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """`wrong(situation)` is "" while all is well; otherwise it counts after `lasts_s`.

    `passing`: it was the other side's doing, and with the power off it is over; the next try may begin.
    """

    code: str
    severity: Severity
    lasts_s: float
    wrong: Callable[[S], str]
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong now, and at which device (its role in the bundle, "" for a judgement of ours)."""

    code: str
    severity: Severity
    detail: str = ""
    device: str = ""


class Supervisor(Generic[S]):
    """Keeps the time for a table of rules."""

    def __init__(self, rules: Iterable[Rule[S]]) -> None:
        self._rules = tuple(rules)
        self._since: dict[str, float] = {}

    def judge(self, situation: S, now: float) -> Iterator[Finding]:
        """Every rule that has been broken for long enough."""
        for rule in self._rules:
            detail = rule.wrong(situation)
            if not detail:
                self._since.pop(rule.code, None)
            elif now - self._since.setdefault(rule.code, now) >= rule.lasts_s - 1e-9:
                yield Finding(rule.code, rule.severity, detail)


class Latches:
    """What has been found and not been reset. The gravest decides; the first of these gives the reason."""

    def __init__(self) -> None:
        self._held: dict[str, Finding] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, code: str) -> bool:
        return code in self._held

    def hold(self, finding: Finding) -> bool:
        """Keep a finding; True where it is new."""
        known = self._held.get(finding.code)
        if known is not None and known.severity >= finding.severity:
            return False
        self._held[finding.code] = finding
        return True

    def release(self, codes: Container[str] | None = None) -> tuple[str, ...]:
        """Forget these (None: everything); what was held of them."""
        gone = tuple(code for code in self._held if codes is None or code in codes)
        for code in gone:
            del self._held[code]
        return gone

    @property
    def worst(self) -> Finding | None:
        """The gravest, the earliest of these; None while all is well."""
        return max(self._held.values(), key=lambda f: f.severity, default=None)

    @property
    def reason(self) -> str:
        """In words, for the session and the log; "" while all is well."""
        worst = self.worst
        if worst is None:
            return ""
        where = f"{worst.device}: " if worst.device else ""
        return f"{where}{worst.code.replace('_', ' ')}" + (f" ({worst.detail})" if worst.detail else "")


class Guard(Generic[S]):
    """Findings of devices and rules: told once, held until released, the gravest known.

    `emit` takes a kind of event and its values.
    """

    def __init__(self, rules: Iterable[Rule[S]], emit: Callable[..., None]) -> None:
        table = tuple(rules)
        self.latches = Latches()
        self._supervisor = Supervisor(table)
        self._passing = frozenset(rule.code for rule in table if rule.passing)
        self._emit = emit
        self._warnings: set[str] = set()

    @property
    def emergency(self) -> bool:
        """Whether anything held is an emergency."""
        worst = self.latches.worst
        return worst is not None and worst.severity is Severity.EMERGENCY

    def judge(self, found: Iterable[Finding], situation: S, now: float) -> list[Finding]:
        """What is wrong now and does not let energy flow; warnings are told and forgotten when they end."""
        warnings: set[str] = set()
        grave = []
        for finding in (*found, *self._supervisor.judge(situation, now)):
            if finding.severity is not Severity.WARNING:
                grave.append(finding)
                continue
            warnings.add(finding.code)
            if finding.code not in self._warnings:
                self._tell(finding)
        self._warnings = warnings
        return grave

    def hold(self, finding: Finding) -> bool:
        """Latch a finding and tell it; True where it is new or graver than before."""
        new = self.latches.hold(finding)
        if new:
            self._tell(finding)
        return new

    def release(self, found: Iterable[Finding], situation: S, now: float) -> None:
        """Forget what is held, except what is still `found` or against a rule; tell what has gone."""
        held = self.latches.release()
        for finding in (*found, *self._supervisor.judge(situation, now)):
            if finding.severity is not Severity.WARNING:
                self.latches.hold(finding)
        for code in held:
            if code not in self.latches:
                self._emit(events.FaultCleared, code=code)

    def let_pass(self) -> None:
        """The power is off: what was the other side's doing is over."""
        for code in self.latches.release(self._passing):
            self._emit(events.FaultCleared, code=code)

    def _tell(self, finding: Finding) -> None:
        self._emit(
            events.FaultFound,
            code=finding.code,
            severity=finding.severity,
            device=finding.device,
            detail=finding.detail,
        )


def found_by(tripped: Iterable[str], faults: Iterable[tuple[str, Fault]]) -> Iterator[Finding]:
    """What hardware and devices tell by themselves: the safety chain first."""
    for code in sorted(tripped):
        yield Finding(code, Severity.EMERGENCY, "tripped in hardware", "safety")
    for role, fault in faults:
        yield Finding(fault.code, fault.severity, fault.detail, role)
