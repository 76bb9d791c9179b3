"""The ProtocolNamespaces and schema namespaces, named once.

Kept apart from the message modules so that naming a protocol does not load its messages.
"""

from __future__ import annotations

from typing import Final

SAP: Final = "urn:iso:15118:2:2010:AppProtocol"
XMLDSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
COMMON_TYPES: Final = "urn:iso:std:iso:15118:-20:CommonTypes"
COMMON_MESSAGES: Final = "urn:iso:std:iso:15118:-20:CommonMessages"
AC: Final = "urn:iso:std:iso:15118:-20:AC"
DC: Final = "urn:iso:std:iso:15118:-20:DC"
WPT: Final = "urn:iso:std:iso:15118:-20:WPT"
ACDP: Final = "urn:iso:std:iso:15118:-20:ACDP"
AC_DER_IEC: Final = "urn:iso:std:iso:15118:-20:AC-DER-IEC"
AC_DER_SAE: Final = "urn:iso:std:iso:15118:-20:AC-DER-SAE"
ISO2: Final = "urn:iso:15118:2:2013:MsgDef"
DIN: Final = "urn:din:70121:2012:MsgDef"
