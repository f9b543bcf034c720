"""The presentation language's vectors (RFC 8446 section 3.4), written and read within bounds."""

from __future__ import annotations

from collections.abc import Iterable


class Malformed(Exception):
    """The server sent what no DTLS peer may send. `code` is stable, the text is one sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


def vector(content: bytes, width: int) -> bytes:
    """`content` behind its length in `width` bytes. Raises `OverflowError` when it does not fit."""
    return len(content).to_bytes(width, "big") + content


def numbers(values: Iterable[int]) -> bytes:
    """16-bit numbers side by side."""
    return b"".join(value.to_bytes(2, "big") for value in values)


class Reader:
    """Takes a message apart from the front. Each taker raises `Malformed` where bytes are missing.

    A message is at most as long as `flight` lets it be, so nothing here needs a bound of its own.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise Malformed("cut_short", f"The server's {self._what} is cut short.")
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))

    def numbers(self, width: int) -> tuple[int, ...]:
        """A vector of 16-bit numbers."""
        content = self.vector(width)
        if len(content) % 2:
            raise Malformed("odd_list", f"A list in the server's {self._what} has an odd length.")
        return tuple(
            int.from_bytes(content[at : at + 2], "big") for at in range(0, len(content), 2)
        )

    def end(self) -> None:
        if self.left:
            raise Malformed("trailing", f"The server's {self._what} is longer than it says.")
