"""Webhooks: the feed, sent to whoever cannot ask for it, signed by the Standard Webhooks scheme."""
