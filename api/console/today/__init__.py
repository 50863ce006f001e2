"""Today: what a team must do now, live."""
