"""What the house rules tolerate, each with its reason. An entry that is not needed any more fails a test."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

LONG_FILES: Final = MappingProxyType[str, str]({})
"""path -> why the file may be longer than the rule allows"""

LONG_FUNCTIONS: Final = MappingProxyType[str, str]({})
"""module.function -> why the function may have more than 60 lines"""

MUTABLE_STATE: Final = MappingProxyType[str, str]({})
"""module.NAME -> why this module-level object may change"""

UNTESTED_REQUIREMENTS: Final = MappingProxyType[str, str]({})
"""requirement id -> why the code cites it although no test can show it"""
