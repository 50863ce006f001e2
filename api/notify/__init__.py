"""Telling people about alerts that page: reminders, the ladder, quiet hours, digests."""
