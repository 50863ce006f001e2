"""What leaves as files: follow-ups with the fields of the national form."""
