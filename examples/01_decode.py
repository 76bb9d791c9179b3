"""Decode a V2GTP frame, look at a field, see which bits say what, and encode it again."""

import iso15118

FRAME = "01fe8004000000178050040081018202830384080e2cfaa062260fe3203e00"

message = iso15118.decode(FRAME)
print(message)
print("voltage:", message.evse_present_voltage.value, "* 10 **", message.evse_present_voltage.exponent, "V")
print()
print(iso15118.explain(FRAME))

assert iso15118.encode(message).hex() == FRAME
