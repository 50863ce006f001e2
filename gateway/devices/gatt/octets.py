"""Takes the fields of a characteristic off its bytes, little-endian, and knows where it stands.

A field that is not there in full is ``truncated`` and names itself; nothing is padded.
"""

from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError, Malformed
from gateway.devices.gatt.sfloat import Value, decode_sfloat


class Octets:
    """The bytes of one value; each call takes the next field. All raise ``DecodeError``."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.offset = 0

    def u8(self, field: str) -> int:
        """One byte."""
        return self._take(field, 1)[0]

    def u16(self, field: str) -> int:
        """Two bytes, unsigned."""
        return int.from_bytes(self._take(field, 2), "little")

    def i16(self, field: str) -> int:
        """Two bytes, two's complement."""
        return int.from_bytes(self._take(field, 2), "little", signed=True)

    def sfloat(self, field: str) -> Value:
        """Two bytes, a decimal number or none."""
        return decode_sfloat(self.u16(field))

    def date_time(self, field: str) -> DateTime:
        """Seven bytes."""
        return DateTime.from_bytes(self._take(field, 7))

    def exactly(self, field: str, length: int) -> bytes:
        """So many bytes as they are."""
        return self._take(field, length)

    def rest(self) -> bytes:
        """All that is left; empty when every byte was taken."""
        left = self._value[self.offset :]
        self.offset = len(self._value)
        return left

    def _take(self, field: str, length: int) -> bytes:
        taken = self._value[self.offset : self.offset + length]
        if len(taken) < length:
            raise DecodeError(
                Malformed.TRUNCATED,
                field,
                self.offset,
                f"needs {length} bytes, {len(taken)} are left",
            )
        self.offset += length
        return taken
