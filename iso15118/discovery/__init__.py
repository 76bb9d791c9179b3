"""Discovery of the charger by the vehicle (SDP): both sides as machines over datagrams.

The machines open no socket and join no group; the runtime does, and feeds them. Start with
`sdp_client.py` (EV) or `sdp_server.py` (charger).
"""
