"""``suifang doctor``: looks at an installation and says what to mend, and how."""
