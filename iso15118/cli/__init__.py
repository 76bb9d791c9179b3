"""The command line: one file per command, each with `configure(parser)` and `run(args)`.

It turns arguments into calls of the library and results into text; it decides nothing about the
protocol. Open first: `main.py` for the table of commands and the exit codes, `decode.py` for a
typical command.
"""
