"""From the ``Authorization`` header to a principal."""

from api.auth.principal import LOCAL, Principal
from api.settings import ApiSettings


class Authenticator:
    """Checks credentials. Off (on loopback only), everybody is ``LOCAL``."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings

    async def authenticate(self, _header: str | None) -> Principal:
        """Who asks."""
        return LOCAL
