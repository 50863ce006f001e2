"""Which terminal a resident uses: deterministic, by hash, the same in every process.

Invariant: all readings of one resident come from one pair of terminals (a cuff and a meter)
at one gateway, because duplicates are recognised per device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["blood_pressure", "glucose"]

PAIRS_PER_GATEWAY: Final = 8
_PREFIX: Final[dict[Kind, str]] = {"blood_pressure": "bp", "glucose": "glu"}


@dataclass(frozen=True, slots=True)
class Site:
    """One gateway box and the centre it stands in."""

    centre_id: str
    gateway_id: str


def sites_of(gateway_ids: Sequence[str], centres: int | None = None) -> list[Site]:
    """Spread gateways over ``centre-1``.. in turn; without a number, one centre a gateway."""
    number = centres or len(gateway_ids)
    return [
        Site(centre_id=f"centre-{index % number + 1}", gateway_id=gateway_id)
        for index, gateway_id in enumerate(gateway_ids)
    ]


def stable_index(key: str, salt: str, size: int) -> int:
    """A number below ``size`` that depends on nothing but key and salt."""
    return int.from_bytes(sha256(f"{salt}:{key}".encode()).digest()[:8]) % size


def site_of(card_number: str, sites: Sequence[Site]) -> Site:
    """Where this resident measures."""
    return sites[stable_index(card_number, "site", len(sites))]


def device_name(gateway_id: str, kind: Kind, pair: int, *, counts: bool) -> str:
    """Name of a terminal; ``counts`` is whether it numbers its readings."""
    return f"{gateway_id}-{_PREFIX[kind]}{'' if counts else '-plain'}-{pair + 1}"


def device_of(card_number: str, kind: Kind, gateway_id: str, *, counts: bool) -> str:
    """The terminal this resident uses for one kind of reading."""
    pair = stable_index(card_number, "pair", PAIRS_PER_GATEWAY)
    return device_name(gateway_id, kind, pair, counts=counts)
