"""Virtual terminals, as real as their bytes: ``tcp`` for JSON lines, the rest for Bluetooth LE.

    records.py   one stored measurement -> the bytes of its characteristic
    script.py    what goes wrong on purpose: link lost after n notifications, slow, wrong clock
    peripheral.py, cuff.py, meter.py   the devices: advertise, pair, answer, send what they hold
    air.py       the link between controllers, and TCP ports through which others join it
    radio.py     bleak on that link, so that the very gateway that uses BlueZ uses this

Nothing here knows how the gateway decodes: what is encoded here is checked against it.
"""
