"""Operations: whether the server does its work."""
