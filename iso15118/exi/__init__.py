"""The EXI codec: objects of declared classes to bits, XML and JSON, and back.

Knows no message; `schema` is the vocabulary in which `iso15118.messages` declares them. Never reads a
schema file and imports nothing of higher floors. Open `codec` first, then `grammar`.
"""
