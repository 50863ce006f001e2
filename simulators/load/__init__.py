"""A light fleet: thousands of gateways in one process, straight on the broker's protocol.

What is simulated is the *gateway*: each has a connection, a login, a topic and a window of its
own, sends what ``gateway.freezer`` would, and forgets nothing before its receipt. No terminal
protocol, no spool on disk: for those there are ``simulators.terminals`` and the real gateway.
"""
