"""TLS as a machine: octets of the connection on one side, octets of the session on the other.

`machine` wraps a session machine, so that drivers and the simulation see one Machine that happens to speak TLS.
`profile` declares what each protocol demands, as data; `client_hello` reads what a vehicle offers before anything is
chosen; `identity` is who we are and whom we trust; `engine` is the one file that knows the TLS library.
No socket, no file, no clock: what goes over the wire comes out as Send.

Never: resumption, early data, a version or suite outside the profile, keys in a log unless asked for by name.
"""
