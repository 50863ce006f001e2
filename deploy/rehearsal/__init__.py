"""The whole system in one process under a clock that we move: months in a minute."""
