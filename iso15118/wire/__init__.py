"""Octets on the wire below the messages: V2GTP frames, SDP datagrams.

Nothing here knows a session, a schema or a socket. Start with `v2gtp.py`.
"""
