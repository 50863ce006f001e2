"""Who asks, and what they may do and see. Routes ask for a permission and get a principal."""
