"""Rules: the profiles in force with limits and sources, and two of them compared on history."""
