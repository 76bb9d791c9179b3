"""The SECC: the station's side of the session, as a table of states and requests.

`machine.py` turns octets and time into requests and drives the table, `session.py` holds what a
handler sees and returns, `iso20/table.py` is the law. Nothing here touches hardware: commands
leave as values and pass `interlock.py` first. Open `iso20/table.py` first.
"""
