"""Topic names of contract v1: ``suifang/v1/{centre}/{gateway}/{channel}``.

The broker's access rules rest on these names: a gateway may only use its own level.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast, get_args

Channel: TypeAlias = Literal["readings", "backlog", "status", "receipts", "commands"]

ROOT: Final = "suifang/v1"
NAME_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,62}"
_TOPIC = re.compile(rf"suifang/v1/({NAME_PATTERN})/({NAME_PATTERN})/([a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Topic:
    """One parsed topic. ``centre`` and ``gateway`` are names, never residents."""

    centre: str
    gateway: str
    channel: Channel

    def __str__(self) -> str:
        """The topic as the broker sees it."""
        return f"{ROOT}/{self.centre}/{self.gateway}/{self.channel}"


def parse_topic(text: str) -> Topic | None:
    """Parse a topic of this contract; None when it is none."""
    found = _TOPIC.fullmatch(text)
    if found is None or found[3] not in get_args(Channel):
        return None
    return Topic(centre=found[1], gateway=found[2], channel=cast("Channel", found[3]))


def shared_filter(channel: Channel, group: str) -> str:
    """The shared subscription of all ingest workers, a group, to one upward channel."""
    return f"$share/{group}/{ROOT}/+/+/{channel}"
