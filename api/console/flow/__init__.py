"""Flow: the conservation law of every gateway, and what nobody could judge."""
