"""Sessions that an earlier demo left at the broker."""

import aiomqtt

from deploy.embedded.stack import Stack


async def forget_session(stack: Stack, session: str) -> None:
    """End an earlier demo's session at the broker: its messages belong to a dropped database."""
    async with aiomqtt.Client(
        stack.broker_host,
        stack.broker_port,
        identifier=session,
        username="ingest",
        password=stack.broker_password("ingest"),
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=5,
    ):
        pass
