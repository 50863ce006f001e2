"""A virtual glucose meter (0x1808): a memory that is read through the record access point.

It keeps what it has measured for ever, sends it in order of sequence number, each record's
context right behind it, and says at the end how it went. Written from GLS 1.0.1 and GSS.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from bumble import gatt
from bumble.att import ATT_Error
from bumble.core import UUID, BaseBumbleError
from bumble.device import Connection

from simulators.terminals.air import Air
from simulators.terminals.peripheral import INDICATE, NOTIFY, WRITE, Peripheral
from simulators.terminals.records import MeterRecord

MEASUREMENT: Final = UUID.from_16_bits(0x2A18)
CONTEXT: Final = UUID.from_16_bits(0x2A34)
FEATURE: Final = UUID.from_16_bits(0x2A51)
ACCESS_POINT: Final = UUID.from_16_bits(0x2A52)
SERVICE: Final = UUID.from_16_bits(0x1808)

_BUSY: Final = 0x80  # GLS: procedure already in progress.
_NOT_SUBSCRIBED: Final = 0x81  # GLS: client characteristic configuration descriptor improper.
_BY_SEQUENCE: Final = 1


class Op(IntEnum):
    """Op codes of the record access control point (GSS)."""

    REPORT = 1
    DELETE = 2
    ABORT = 3
    COUNT = 4
    COUNTED = 5
    RESPONSE = 6


class Operator(IntEnum):
    """Operators of the record access control point (GSS)."""

    NULL = 0
    ALL = 1
    AT_LEAST = 3


class Code(IntEnum):
    """Response codes of the record access control point (GSS)."""

    SUCCESS = 1
    OP_NOT_SUPPORTED = 2
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    NOT_COMPLETED = 8


class Meter(Peripheral):
    """A meter and its memory; ``requests`` are the bytes that were written to its 0x2A52."""

    SERVICE = SERVICE

    def __init__(
        self,
        air: Air,
        name: str,
        address: str,
        *,
        now: Callable[[], datetime],
        records: Sequence[MeterRecord] = (),
        **options: Any,  # noqa: ANN401 - the Peripheral's
    ) -> None:
        self.records: list[MeterRecord] = list(records)
        self.requests: list[bytes] = []
        self.transfers = 0
        self.sent: list[int] = []  # Sequence numbers, in the order they went out.
        super().__init__(air, name, address, now=now, **options)

    def _services(self) -> Sequence[gatt.Service]:
        self._measurement = self._characteristic(MEASUREMENT, NOTIFY)
        self._context = self._characteristic(CONTEXT, NOTIFY)
        self._access_point = self._characteristic(
            ACCESS_POINT, INDICATE | WRITE, gatt.CharacteristicValue(write=self._on_request)
        )
        feature = gatt.Characteristic(
            FEATURE, gatt.Characteristic.Properties.READ, gatt.Characteristic.READABLE, b"\0\0"
        )
        characteristics = [self._measurement, self._context, feature, self._access_point]
        return [gatt.Service(SERVICE, characteristics)]

    def measure(self, record: MeterRecord) -> None:
        """Somebody has measured: it is in the memory from now on."""
        self.records.append(record)

    def restart_numbering(self, records: Sequence[MeterRecord]) -> None:
        """The battery was changed: the memory is empty, sequence numbers begin again."""
        self.records[:] = records

    async def send_late_contexts(self) -> None:
        """The residents press their buttons: contexts that were late go out now."""
        for connection in list(self.device.connections.values()):
            for record in self.records:
                raw = record.encode_context()
                if record.context_late and raw is not None:
                    await self.send(connection, self._context, raw)

    def _on_request(self, connection: Connection, value: bytes) -> None:
        self.requests.append(bytes(value))
        if not self.is_subscribed(connection, self._access_point):
            raise ATT_Error(_NOT_SUBSCRIBED)
        aborts = len(value) > 0 and value[0] == Op.ABORT
        if self.is_working and not aborts:
            raise ATT_Error(_BUSY)
        self.start_work(self._answer(connection, value))

    async def _answer(self, connection: Connection, value: bytes) -> None:
        try:
            if len(value) == 0 or value[0] not in (Op.REPORT, Op.COUNT, Op.ABORT):
                await self._respond(connection, value, Code.OP_NOT_SUPPORTED)
            elif value[0] == Op.ABORT:
                await self._respond(connection, value, Code.SUCCESS)
            else:
                await self._report(connection, value)
        except (TimeoutError, BaseBumbleError):
            return  # The link broke.

    async def _report(self, connection: Connection, value: bytes) -> None:
        chosen = self._choose(value)
        if isinstance(chosen, Code):
            await self._respond(connection, value, chosen)
        elif value[0] == Op.COUNT:
            counted = struct.pack("<BBH", Op.COUNTED, Operator.NULL, len(chosen))
            await self.send(connection, self._access_point, counted, counts=False)
        elif not chosen:
            await self._respond(connection, value, Code.NO_RECORDS)
        else:
            await self._transfer(connection, value, chosen)

    def _choose(self, value: bytes) -> list[MeterRecord] | Code:
        if value[1:] == bytes((Operator.ALL,)):
            return list(self.records)
        if len(value) < 2 or value[1] != Operator.AT_LEAST:  # noqa: PLR2004 - op and operator
            return Code.OPERATOR_NOT_SUPPORTED
        try:
            kind, least = struct.unpack("<BH", value[2:])
        except struct.error:
            return Code.INVALID_OPERAND
        if kind != _BY_SEQUENCE:
            return Code.INVALID_OPERAND
        return [record for record in self.records if record.sequence >= least]

    async def _transfer(
        self, connection: Connection, value: bytes, chosen: list[MeterRecord]
    ) -> None:
        limit = self.script.records_of(self.transfers)
        self.transfers += 1
        for index, record in enumerate(chosen):
            if index == limit:
                await self._respond(connection, value, Code.NOT_COMPLETED)
                return
            if index in self.script.malformed:
                raw = self.script.malformed[index]
                await self.send(connection, self._measurement, raw, counts=False)
            if not await self._send_record(connection, record):
                return
        if self.connections - 1 in self.script.break_before_end:
            await connection.disconnect()
            return
        limit = self.script.notifications_of(self.connections - 1)
        if limit is not None and self._sent >= limit:
            await connection.disconnect()
            return
        await self._respond(connection, value, Code.SUCCESS)

    async def _send_record(self, connection: Connection, record: MeterRecord) -> bool:
        context = None if record.context_late else record.encode_context()
        parts = [(self._measurement, record.encode())]
        if context is not None and self.is_subscribed(connection, self._context):
            parts.append((self._context, context))
        if self.script.reverse_contexts:
            parts.reverse()
        for characteristic, raw in parts:
            if not await self.send(connection, characteristic, raw):
                return False
        self.sent.append(record.sequence)
        return True

    async def _respond(self, connection: Connection, value: bytes, code: Code) -> None:
        response = bytes((Op.RESPONSE, Operator.NULL, value[0] if value else 0, code))
        await self.send(connection, self._access_point, response, counts=False)
