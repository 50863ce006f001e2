"""What people say of readings: corrections, retractions, claims, and all of it taken back."""
