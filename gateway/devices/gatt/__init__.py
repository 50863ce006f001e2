"""Bluetooth characteristics: bytes -> what the instrument said, and back.

Pure functions of bytes; no radio, no clock, no log. One file per service, the numbers and the
date beside them, ``lines`` for the way on to ``Capture``, ``catalogue`` for "decode whatever
this is".

Invariants:
    A value is a ``Decimal`` with the digits it was sent with, or a ``NotANumber``; never a float.
    A decoder returns a measurement or raises ``DecodeError``; nothing else.
    Every byte is accounted for: what no field took is in ``leftover``, every reserved bit is kept.
    ``encode(decode(value)) == value``.
"""
