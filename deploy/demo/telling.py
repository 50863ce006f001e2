"""That somebody is told: staff with a contact, a subscriber of the feed, and the address of both.

Invented roles, no invented persons. What pages goes to the pager of its team, each alert of the
first centre to the system of that centre; both are the receiver of this folder, on this machine.
"""

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from api.notify.ladder import Rung
from api.webhooks.signing import SECRET_BYTES, SECRET_PREFIX, write_secret
from deploy.demo.errors import DemoError
from deploy.demo.receiver import PEOPLE, SUBSCRIBER, Receiver
from ingest.db.residents import Staff
from simulators.residents import TEAMS_PER_CENTRE, team_id
from simulators.sites import Site

Tokens: TypeAlias = Callable[[Sequence[str]], str]
"""A fresh token of a contract system, for some centres; none named: for all."""
LOOPBACK: Final = '["127.0.0.1/32"]'
"""The one network that the demo's webhooks may go to, as settings take it."""
_SECRET_FILE: Final = "notify.secret"  # noqa: S105 - its name
IS_ANYBODY_WAITING: Final = """
SELECT EXISTS (SELECT FROM message WHERE status = 'waiting')
    OR EXISTS (SELECT FROM alert_attention WHERE look_at <= opened_at)"""
"""Whether somebody is still to be told; a subscriber of thousands of events may be behind."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Prepared with ``make``; ``subscribe`` once the API is there."""

    receiver: Receiver
    secret_file: Path

    @classmethod
    def make(cls, folder: Path) -> "Telling":
        """With a fresh secret for the notifier."""
        secret = secrets.token_bytes(SECRET_BYTES)
        file = folder / _SECRET_FILE
        file.touch(mode=0o600)
        file.write_text(write_secret(secret), "ascii")
        return cls(Receiver({PEOPLE: secret}), file)

    def notify_settings(self, dsn: str) -> dict[str, str]:
        """Environment of ``suifang notify``."""
        return {
            "NOTIFY_DB_DSN": dsn,
            "NOTIFY_WEBHOOK__URL": self.receiver.address(PEOPLE),
            "NOTIFY_WEBHOOK__SECRET_FILE": str(self.secret_file),
        }

    def deliver_settings(self, dsn: str) -> dict[str, str]:
        """Environment of ``suifang deliver``."""
        return {"DELIVER_DB_DSN": dsn, "DELIVER_ALLOWED_NETWORKS": LOOPBACK}

    async def subscribe(self, api: str, tokens: Tokens, staff: Sequence[Staff]) -> None:
        """Give the staff contacts, and make one centre's system a subscriber of its alerts.

        Raises:
            DemoError: The API refused it, or cannot be reached.
        """
        contact = {"duties": [str(rung) for rung in Rung]}
        wanted = {"url": self.receiver.address(SUBSCRIBER), "types": ["alert.raised"]}
        try:
            async with httpx.AsyncClient(base_url=api, timeout=30) as client:
                for each in staff:
                    path = f"/v1/staff/{each.id}/contact"
                    await _put(client, path, contact, token=tokens([each.centre_id]))
                token = tokens([staff[0].centre_id])
                made = await _put(client, "/v1/webhooks/demo", wanted, token=token)
        except httpx.HTTPError as error:
            msg = f"nobody can be told: the API answers {error}"
            raise DemoError(msg) from error
        shown = str(made["secret"]).removeprefix(SECRET_PREFIX)
        self.receiver.secrets[SUBSCRIBER] = base64.b64decode(shown, validate=True)

    def as_report(self) -> Mapping[str, int]:
        """How much was told."""
        return {
            "messages": len(self.receiver.told[PEOPLE]),
            "events": len(self.receiver.told[SUBSCRIBER]),
            "refused": self.receiver.refused,
        }


def list_staff(sites: Sequence[Site], today: date) -> list[Staff]:
    """One doctor on duty in each centre, for all of its teams."""
    return [
        Staff(
            id=f"{centre}-on-duty",
            centre_id=centre,
            role="doctor",
            since=today,
            team_ids=[team_id(centre, index) for index in range(TEAMS_PER_CENTRE)],
        )
        for centre in sorted({site.centre_id for site in sites})
    ]


async def _put(
    client: httpx.AsyncClient, path: str, content: dict[str, Any], *, token: str
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.put(path, json=content, headers=headers)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
