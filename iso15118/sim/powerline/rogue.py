"""An EVSE that is none of the car's business: it answers everybody at once and claims to be nearer than all others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iso15118.errors import FramingError
from iso15118.machine import NEVER, Entropy, Frame, LinkUp, Output
from iso15118.sim.powerline.config import GROUPS
from iso15118.wire import homeplug
from iso15118.wire.homeplug import (
    LOCAL_MODEM,
    AttenCharInd,
    Message,
    MnbcSoundInd,
    SetKeyReq,
    SlacMatchCnf,
    SlacMatchReq,
    SlacParmCnf,
    SlacParmReq,
    StartAttenCharInd,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What it tells: dB in all groups, heard sounds, and whether it reports before any sound was made."""

    attenuation_db: int = 0
    num_sounds: int = 10
    before_sounds: bool = False


class RogueEvse:
    """Machine. Takes frames, gives frames; gives its own key to whoever asks."""

    def __init__(self, mac: bytes, entropy: Entropy, claim: Claim | None = None) -> None:
        self.mac = mac
        self.nmk = entropy(16)
        self._claim = claim or Claim()
        self._out: deque[Output] = deque()

    @property
    def deadline(self) -> float:
        """It never waits."""
        return NEVER

    def tick(self, now: float) -> None:
        """Let time pass."""

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    def receive(self, item: Any, now: float) -> None:
        """Take one input."""
        match item:
            case LinkUp():
                key = SetKeyReq(nid=homeplug.derive_nid(self.nmk), new_key=self.nmk)
                self._send(key, LOCAL_MODEM)
            case Frame(data=octets):
                try:
                    frame = homeplug.read(octets)
                except FramingError:
                    return
                answer = self._answer(frame.message, frame.source)
                if answer is not None:
                    self._send(answer, frame.source)
            case _:
                pass

    def _answer(self, request: Message, ev: bytes) -> Message | None:
        match request:
            case SlacParmReq(run_id=run_id):
                return SlacParmCnf(run_id=run_id, forwarding_sta=ev, num_sounds=10, time_out=6)
            case StartAttenCharInd(run_id=run_id) if self._claim.before_sounds:
                return self._report(run_id, ev)
            case MnbcSoundInd(run_id=run_id, cnt=0) if not self._claim.before_sounds:
                return self._report(run_id, ev)
            case SlacMatchReq(run_id=run_id, evse_mac=self.mac):
                nid = homeplug.derive_nid(self.nmk)
                return SlacMatchCnf(run_id=run_id, pev_mac=ev, evse_mac=self.mac, nid=nid, nmk=self.nmk)
        return None

    def _report(self, run_id: bytes, ev: bytes) -> Message:
        aag = bytes([self._claim.attenuation_db]) * GROUPS
        return AttenCharInd(run_id=run_id, source_address=ev, num_sounds=self._claim.num_sounds, aag=aag)

    def _send(self, message: Message, to: bytes) -> None:
        self._out.append(Frame(homeplug.write(homeplug.Frame(to, self.mac, message))))
