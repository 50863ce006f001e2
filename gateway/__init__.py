"""The edge process: device bytes in, spooled readings out over MQTT.

It must never import anything of the server, and never forget a reading before its receipt.
"""
