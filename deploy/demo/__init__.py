"""``suifang demo``: the whole way on real readings, on this machine, proven at the end."""
