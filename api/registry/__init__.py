"""What the contract system writes: places, staff, packages, people, contracts."""
