"""Virtual terminals, real recordings played again, and the ledger that proves nothing was lost.

What is simulated is the *device*, never the code under test: terminals speak to a real gateway
over its real TCP protocol. Nothing here is imported by the server or the gateway.
"""
