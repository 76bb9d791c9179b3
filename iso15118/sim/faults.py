"""Named faults as data: what can break, with which numbers, and how to write it on a command line.

`late_contactor(2.5)` or `tcp_stall(at=8, seconds=1)`, several separated by commas; `random` draws one to
three of them from the run's seed. Each fault belongs to a layer, because layers fail differently: TCP delays
but does not lose. `injection.py` applies them. Times in virtual seconds since plug-in.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from iso15118.errors import ConfigError

Value = float | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number with its default and the range chance draws from, or one of `choices`."""

    name: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def draw(self, chance: random.Random) -> Value:
        """A value within the range, to three digits: it is read by people."""
        if self.choices:
            return chance.choice(self.choices)
        return round(chance.uniform(self.low, self.high), 3)

    def read(self, value: Value, fault: str) -> Value:
        """`value` as this parameter. ConfigError where it is none."""
        if self.choices:
            if str(value).upper() not in self.choices:
                raise ConfigError(f"{fault}.{self.name}", f"{value!r}; accepted: {', '.join(self.choices)}")
            return str(value).upper()
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{fault}.{self.name}", f"{value!r} is no number") from None


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault is: its layer, a sentence, its parameters in order, and to which energies it can happen."""

    layer: str
    doc: str
    parameters: tuple[Parameter, ...] = ()
    energies: tuple[str, ...] = ("dc", "ac")


Kinds = Mapping[str, Kind]
NO_KINDS: Final[Kinds] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to inject, with a value for each of its kind's parameters."""

    name: str
    values: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(f"{k}={v:.12g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.values)
        return f"{self.name}({inner})" if inner else self.name

    def number(self, name: str) -> float:
        """The value of a numeric parameter."""
        return float(dict(self.values)[name])

    def text(self, name: str) -> str:
        """The value of a parameter that is a choice."""
        return str(dict(self.values)[name])


def _at(low: float = 0.1, high: float = 12.0) -> Parameter:
    return Parameter("at", 6.0, low, high)


_SIDE: Final = Parameter("side", "SECC", choices=("SECC", "EVCC"))
_CONTACT: Final = Parameter("side", "EVSE", choices=("EVSE", "EV"))
_SHARE: Final = Parameter("share", 0.3, 0.05, 0.7)

KINDS: Final = MappingProxyType(
    {
        "tcp_delay": Kind("tcp", "every write arrives later", (Parameter("seconds", 0.05, 0.005, 0.1),)),
        "tcp_jitter": Kind("tcp", "writes arrive at uneven times", (Parameter("seconds", 0.05, 0.005, 0.1),)),
        "tcp_chunks": Kind("tcp", "writes arrive in odd pieces", (Parameter("octets", 7, 1, 20),)),
        "tcp_stall": Kind(
            "tcp", "nothing arrives for a while", (_at(), Parameter("seconds", 1.0, 0.05, 5.0))
        ),
        "tcp_reset": Kind("tcp", "the connection is reset", (_at(),)),
        "half_close": Kind("tcp", "one side's sending direction ends", (_at(), _SIDE)),
        "peer_vanishes": Kind("tcp", "one side's computer stops, without a word", (_at(), _SIDE)),
        "sdp_loss": Kind("sdp", "this share of the datagrams is lost", (_SHARE,)),
        "sdp_duplicate": Kind("sdp", "this share of the datagrams arrives twice", (_SHARE,)),
        "sdp_reorder": Kind("sdp", "this share of the datagrams is overtaken", (_SHARE,)),
        "sdp_corrupt": Kind("sdp", "this share of the datagrams is damaged", (_SHARE,)),
        "late_contactor": Kind(
            "hardware", "a contactor closes late", (Parameter("seconds", 1.0, 0.05, 3.0), _CONTACT)
        ),
        "stuck_contactor": Kind("hardware", "a contactor never closes", (_CONTACT,)),
        "welded_contactor": Kind(
            "hardware", "a contactor does not open after its first closing", (_CONTACT,)
        ),
        "bouncing_contactor": Kind(
            "hardware",
            "a contactor's feedback is unclear at first",
            (Parameter("seconds", 0.1, 0.01, 0.5), _CONTACT),
        ),
        "isolation_fault": Kind(
            "hardware", "one pole leaks to earth", (Parameter("ohm", 50_000.0, 1_000.0, 200_000.0),), ("dc",)
        ),
        "wrong_voltage": Kind(
            "hardware",
            "the supply's voltage is off by this much",
            (Parameter("volts", 40.0, -80.0, 80.0),),
            ("dc",),
        ),
        "meter_jump": Kind(
            "hardware", "the charged register jumps", (_at(), Parameter("wh", 500.0, 1.0, 5000.0))
        ),
        "cp_flap": Kind(
            "hardware", "the control pilot drops to B", (_at(), Parameter("seconds", 0.1, 0.005, 1.0))
        ),
        "unplug": Kind("hardware", "the control pilot breaks", (_at(),)),
        "emergency_stop": Kind("hardware", "the button is pressed", (_at(), _CONTACT)),
        "hardware_fault": Kind("hardware", "the hardware reports a fault", (_at(), _CONTACT)),
        "controller_silence": Kind(
            "controller",
            "no snapshots and no answers for a while",
            (_at(), Parameter("seconds", 3.0, 0.2, 6.0), _SIDE),
        ),
        "slow_authorization": Kind(
            "controller", "the decision takes long", (Parameter("seconds", 20.0, 1.0, 80.0),)
        ),
        "refused_authorization": Kind("controller", "the decision is no"),
        "slow_offer": Kind("controller", "the offer takes long", (Parameter("seconds", 20.0, 1.0, 80.0),)),
        "greedy_offer": Kind(
            "controller", "the offer exceeds the limits", (Parameter("factor", 3.0, 1.1, 10.0),)
        ),
        "wrong_answer": Kind("controller", "an answer of a wrong type", (_SIDE,)),
        "failing_answer": Kind("controller", "an exception instead of an answer", (_SIDE,)),
        "clock_drift": Kind(
            "clock", "wall time runs fast or slow", (Parameter("ppm", 500.0, -5e4, 5e4), _SIDE)
        ),
        "clock_step": Kind(
            "clock", "wall time jumps", (_at(), Parameter("seconds", 3600.0, -7200.0, 7200.0), _SIDE)
        ),
    }
)
"""Every fault by name."""

_ITEM: Final = re.compile(r"\s*([a-z_]+)\s*(?:\(([^()]*)\))?\s*(?:,|$)")


def fault(name: str, *positional: Value, **named: Value) -> Fault:
    """A fault with these parameters, the rest at their defaults. ConfigError names what is accepted."""
    return make(KINDS, name, positional, named)


def make(kinds: Kinds, name: str, positional: Sequence[Value], named: Mapping[str, Value]) -> Fault:
    """A fault of one of `kinds`, as `fault` makes those of sessions."""
    kind = kinds.get(name)
    if kind is None:
        raise ConfigError("faults", f"{name!r} is unknown; known: {', '.join(sorted(kinds))}")
    names = [p.name for p in kind.parameters]
    if len(positional) > len(names) or not named.keys() <= set(names):
        raise ConfigError(f"faults.{name}", f"accepted parameters: {', '.join(names) or 'none'}")
    given = dict(zip(names, positional, strict=False)) | dict(named)
    return Fault(name, tuple((p.name, p.read(given.get(p.name, p.default), name)) for p in kind.parameters))


def parse(
    text: str, *, seed: int = 0, dc: bool = True, kinds: Kinds | None = None, more: Kinds = NO_KINDS
) -> tuple[Fault, ...]:
    """Faults from command line text; `random` draws from the seed. Empty text: no fault.

    `kinds` is another table than that of sessions, `more` has those that happen by name and never by chance.
    """
    table = KINDS if kinds is None else kinds
    named = {**table, **more}
    found: list[Fault] = []
    at = 0
    while text[at:].strip():
        match = _ITEM.match(text, at)
        if match is None:
            raise ConfigError("faults", f"cannot read {text[at:]!r}; write name(value, key=value), ...")
        if match[1] == "random":
            found += draw(seed, dc=dc, kinds=table)
        else:
            found.append(_read(match[1], match[2] or "", named))
        at = match.end()
    return tuple(found)


def _read(name: str, inner: str, kinds: Kinds) -> Fault:
    positional: list[Value] = []
    named: dict[str, Value] = {}
    for part in filter(None, (p.strip() for p in inner.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        else:
            positional.append(part)
    return make(kinds, name, positional, named)


def draw(seed: int, *, dc: bool = True, most: int = 3, kinds: Kinds | None = None) -> tuple[Fault, ...]:
    """One to `most` different faults by chance, the same ones for the same seed."""
    table = KINDS if kinds is None else kinds
    chance = random.Random(f"faults {seed}")
    names = sorted(name for name, kind in table.items() if ("dc" if dc else "ac") in kind.energies)
    chosen = chance.sample(names, chance.randint(1, most))
    return tuple(
        Fault(name, tuple((p.name, p.draw(chance)) for p in table[name].parameters)) for name in chosen
    )
