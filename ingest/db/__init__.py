"""The schema and everything that speaks SQL to it, one module per table.

No other module names a table. Nothing here commits: the caller owns the transaction.
"""
