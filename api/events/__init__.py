"""The change feed: everything that was told, in one order, for whoever follows it by number."""
