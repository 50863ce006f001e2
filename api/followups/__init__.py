"""What people record of a follow-up, and the export of it. The same file names as everywhere."""
