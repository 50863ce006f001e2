"""The console: pages for doctors and for operators, on the API's own functions and identities.

One folder per page, with the same file names inside as everywhere in ``api``. A page never has a
query, a rule or a right of its own that the API does not have: it reads as its principal, in one
transaction, and what it shows is in the audit log.
"""
