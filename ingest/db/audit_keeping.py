"""For how long it can be said who saw whom: of the audit log and of what its entries rest on.

Of a stream the audit log notes who listened from where on; whom they saw is in the feed alone. So
the feed never lets go what an entry that is kept may rest on.
"""

from typing import Final

KEEP_DAYS_MIN: Final = 183
"""Six months. Source: Cybersecurity Law of the People's Republic of China, article 21 (3)."""
KEEP_DAYS: Final = 365
"""Unless the operator says otherwise, of entries as of events."""
