"""Where a webhook may go: to public addresses, and to networks that the operator allows.

The name is looked up once for a request, the answer is checked, and the request goes to that
address and no other: a name that means something else a moment later (DNS rebinding) changes
nothing. An address that carries another one inside (IPv4 in IPv6) is judged by that one.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final, TypeAlias

import httpx
from pydantic import AfterValidator

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
URL_CHARACTERS_MAX: Final = 2_000
_NAT64: Final = ip_network("64:ff9b::/96")  # Source: RFC 6052, 2.1.
_NOT_PUBLIC: Final = (  # What ``is_global`` passes for public, in some or all Pythons.
    ip_network("fec0::/10"),  # Once site-local, and in use still. Source: RFC 3879, 4.
    ip_network("192.88.99.0/24"),  # Whoever relayed 6to4. Source: RFC 7526, 4.
    ip_network("3fff::/20"),  # For documentation. Source: RFC 9637, 3.
)
_PORT_MAX: Final = 65_535
_HOST: Final = re.compile(rb"[A-Za-z0-9._:-]+")  # As it is sent: other letters are encoded by then.
_LOW_32_BITS: Final = 0xFFFFFFFF
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class ForbiddenAddressError(Exception):
    """A name that means no address to which a webhook may go."""


def _read_network(text: str) -> str:
    ip_network(text)  # Its own words are good: "… has host bits set".
    return text


NetworkText = Annotated[str, AfterValidator(_read_network)]


def read_networks(texts: Sequence[str]) -> list[Network]:
    """Networks from settings, which have checked them."""
    return [ip_network(text) for text in texts]


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a webhook may go there."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, IPv6Address):
        inner = _find_inner(address)
        if inner is not None:
            return is_allowed(inner, allowed)
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _find_inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & _LOW_32_BITS)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (None if teredo is None else teredo[1])


def find_mistake(url: str, allowed: Sequence[Network]) -> str | None:
    """What is wrong with an address before anybody looks it up; None: nothing."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return "no address; write https://host/path"
    if parts.scheme not in _DEFAULT_PORTS or not parts.host:
        return "write https://host/path"
    mistakes = {
        f"ports go from 1 to {_PORT_MAX}": (parts.port or 1) > _PORT_MAX,
        "leave out user, password and fragment: requests are signed instead": bool(
            parts.userinfo or parts.fragment
        ),
        "use https: what is sent is about people": parts.scheme == "http" and not allowed,
        "the host is no name and no address": not _HOST.fullmatch(parts.raw_host),
        "this address is not public, and the operator allows no network of it"
        " (API_WEBHOOKS__ALLOWED_NETWORKS)": not _may_be_allowed(parts.host, allowed),
    }
    return next((mistake for mistake, is_made in mistakes.items() if is_made), None)


def _may_be_allowed(host: str, allowed: Sequence[Network]) -> bool:
    try:
        return is_allowed(_read_address(host), allowed)
    except (ValueError, OSError):
        return True  # A name: what it means is looked at when it is gone to.


def _read_address(host: str) -> Address:
    """An address however it is written: 2130706433 and 0x7f.1 are 127.0.0.1 for resolvers."""
    try:
        return ip_address(host)
    except ValueError:
        return IPv4Address(socket.inet_aton(host))


async def look_up(host: str, port: int) -> Sequence[str]:
    """Addresses of a name, from the system's resolver. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def pin(
    url: httpx.URL, allowed: Sequence[Network], resolver: Resolver
) -> tuple[httpx.URL, dict[str, str]]:
    """The same address with its host as a checked number, and what TLS has to verify.

    Raises:
        ForbiddenAddressError: Nothing that the name means may be reached.
        OSError: The name means nothing.
    """
    port = url.port or _DEFAULT_PORTS[url.scheme]
    host = url.raw_host.decode("ascii")
    for text in await resolver(host, port):
        address = ip_address(text.partition("%")[0])
        if is_allowed(address, allowed) and (
            url.scheme == "https" or any(address in n for n in allowed)
        ):
            return url.copy_with(host=str(address)), {"sni_hostname": host}
    msg = f"{host} has no address that may be reached (DELIVER_ALLOWED_NETWORKS)"
    raise ForbiddenAddressError(msg)
