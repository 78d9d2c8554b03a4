"""A limit on the head of a request, which comes before the gate and its token."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes that a head may go on for: whoever sends more would fill the memory.
_MOST: Final = 2**16


class LimitedHead(HttpToolsProtocol):
    """uvicorn's reader of requests, which keeps a head of any length, with an end to that."""

    _in_head = False
    _waiting_for_more = 0

    def data_received(self, data: bytes) -> None:
        """Read on; refuse a head that does not end."""
        went_on = self._in_head
        super().data_received(data)
        if self._in_head and went_on:
            self._waiting_for_more += len(data)
            if self._waiting_for_more > _MOST and not self.transport.is_closing():
                self.send_400_response(f"The head of a request may have {_MOST} bytes.")

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._in_head, self._waiting_for_more = True, 0

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._in_head = False
        super().on_headers_complete()
