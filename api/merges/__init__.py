"""Two pseudonyms that are one person, and are two again."""
