"""Quality: how well people are looked after, with the persons behind each number."""
