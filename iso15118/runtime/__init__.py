"""The asyncio shell around the machines: sockets, timers, tasks. The only room that imports asyncio.

`Charger` and `Vehicle` are what a program uses; `driver.py` pumps any machine, `session.py` puts one
on a TCP connection, `net.py` knows interfaces and IPv6 link-local addresses. Nothing here decides
anything about the protocol. Open `driver.py` first.
"""
