"""From plug to unplug: what happens on the control pilot, and when matching, discovery and sessions are due.

One table a side (`evse`, `ev`): each row says what is signalled, what the link and discovery are asked to do, how
long it may last, and where each signal leads. `table` runs such a table; it knows no socket, clock or device.
Above it stand the link (SLAC), discovery and the session; it only tells them when.

Open first: `evse.py`, the whole life of an outlet on one screen.
"""
