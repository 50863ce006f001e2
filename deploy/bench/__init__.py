"""``suifang bench``: how fast readings get from the broker into the database, beside peers."""
