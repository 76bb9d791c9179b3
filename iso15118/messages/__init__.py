"""Messages as code: every message and type of a protocol is declared once, as a frozen dataclass.

A module declares one namespace (`iso20.common` and `iso20.schedules` share theirs). Names, order,
occurrence and bounds follow the schemas and are compared with them by the tests; EXI grammars, XML, JSON
and the message reference of the manual are derived from here. Nothing in here encodes, decides or keeps
state, and no schema file is read. Open `iso20.dc` first, then `registry`: the schema set of a payload.
"""
