"""Hardware of a charger or a car: what the stack needs of it, as small protocols.

Empty for now. Here will live the protocols (control pilot, contactor, connector lock, isolation
monitor, power supply, meter, PLC modem ...), a virtual device for each of them, one driver per
real device, and `testing`, the behaviour suite that virtual and real devices must both pass.

It never imports `iso15118` or `certs`. Until it is filled, hardware is connected through the four
methods and the one state of `iso15118.control`.
"""
