"""The EVCC: the car's side of the session, as a procedure that reads like the sequence chart.

`machine.py` drives the coroutine, `vocabulary.py` is what a procedure can say (`ask`, `sleep`,
`until`, `query`, `do`), `iso20/` are the procedures. A test, a conformance case or a rude car is
another procedure with the same words. Open `iso20/session.py` first.
"""
