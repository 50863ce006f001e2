"""One resident: trend, cases with their history, contract and team."""
