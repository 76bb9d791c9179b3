"""Constants of matching both sides know (ISO 15118-3, C_ and TT_)."""

from __future__ import annotations

from typing import Final

NUM_SOUNDS: Final = 10
"""C_EV_match_MNBC."""
TIME_OUT: Final = 6
"""TT_EVSE_match_MNBC in 100 ms."""
RETRIES: Final = 2
"""C_EV_match_retry: how often a message without an answer is sent again."""
MATCH_REQ_LENGTH: Final = 0x3E
"""MVFLength of CM_SLAC_MATCH.REQ."""
MATCH_CNF_LENGTH: Final = 0x56
"""MVFLength of CM_SLAC_MATCH.CNF."""
