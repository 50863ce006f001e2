"""The reading side: cases, alerts and readings over HTTP, one live feed, and its dispatcher.

Nothing here judges and nothing here writes clinical data; the dispatcher only numbers what
ingest and judge have already committed.
"""
