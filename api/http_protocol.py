"""HTTP/1.1 as the server reads it: httptools' parser, which sets no bound of its own, with one.

It must never keep what it cannot pass on: of a head, a trailer or a line of a chunk that does not
end it takes so many bytes, then it says so and closes. Bodies are counted by ``front_door``.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 65_536  # As h11, uvicorn's other parser, takes of an unfinished event.
_TOO_LARGE: Final = f"A request's head may have {HEAD_BYTES_MAX} bytes; send fewer or shorter ones."


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Bytes that finish neither a head nor a piece of body are counted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's to say
        super().__init__(*args, **kwargs)
        self._pending_bytes = 0
        self._finished = False

    def data_received(self, data: bytes) -> None:
        """Parse; refuse and close once too much is pending."""
        self._finished = False
        super().data_received(data)
        self._pending_bytes = 0 if self._finished else self._pending_bytes + len(data)
        if self._pending_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._finished = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Here is some of a body."""
        self._finished = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._finished = True
        super().on_message_complete()
