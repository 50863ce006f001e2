"""Recording what was done for a resident: visits, referrals, calls, from any page."""
