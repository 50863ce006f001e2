"""What a simulation came to, as a page to read and a JSON twin to compute with."""
