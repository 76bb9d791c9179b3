"""Hardware of a charger or a car: what the stack needs of it, as small protocols.

Read `device.py` first: what all devices have in common. Then the protocols (`pilot`, `safety`, `power`,
`meter`, `vehicle`, `plc`), the sets they form (`bundle`), how a driver is found (`registry`) and a whole set made
from a file (`build`).
`virtual/` has a working device for each protocol on a simulated circuit, `drivers/` one file per real device,
`testing` the behaviour suite that virtual and real devices must both pass.

It never imports `iso15118` or `certs`, and importing it loads no driver.
"""
