"""What the API does for operators beside answering: the flow in samples, and long work."""
