"""A typed client of the API, for contract systems and whoever writes Python.

with Suifang("https://suifang.example", key) as api:
api.put_resident("r-…", ResidentIn(team_id="t-1"))
for case in api.list_cases(team="t-1", overdue=True):
...
"""

from api.client.errors import ClientError, ProblemError, UnreachableError
from api.client.events import Told
from api.client.suifang import Suifang

__all__ = ["ClientError", "ProblemError", "Suifang", "Told", "UnreachableError"]
