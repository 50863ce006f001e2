"""How a box gets its certificate, and the next one: its key is made here and stays here."""
