"""Security of messages: XML signatures over EXI fragments, and what Plug and Charge builds on them.

Values in, verdicts out; keys sign through a small protocol, so that they may live in a secure element. Open first:
`signature.py`.
"""
