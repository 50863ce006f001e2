"""The deployment's certificate authority as operators use it: a folder, and ``suifang pki``."""
