"""What a service answers on loopback, beside predict on the same texts.

Clients ask for one text at a time, each on a connection of its own that stays open,
and compare label and exit with those of predict. Then the same beside clients that are
slow, send half a request or junk; over a kill and a new start; and over SIGTERM.
"""
