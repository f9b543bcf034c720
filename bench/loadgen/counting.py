"""Which packets of one stream arrived, each counted once (RFC 3550 appendix A.1 unwrapping)."""

from __future__ import annotations

from typing import Final

_HALF: Final = 0x8000
_MASK: Final = 0xFFFF


class Distinct:
    """Counts the distinct packets of one SSRC by sequence number.

    Of a thinned stream only numbers that `step` divides come at all. Remembers the last 65,536
    numbers up to the highest: an older one than half of that is taken for a newer cycle, as any
    receiver would.
    """

    __slots__ = ("_seen", "_step", "count", "duplicates", "first", "highest")

    def __init__(self, step: int = 1) -> None:
        self._step = step
        self._seen = bytearray(1 << 16)
        self.first = 0  # unwrapped; below 0 when packets of an earlier cycle come late
        self.highest = 0  # unwrapped
        self.count = 0
        self.duplicates = 0

    def add(self, sequence: int) -> bool:
        """Whether `sequence` (16 bits) was not here before."""
        seen = self._seen
        if not self.count:
            self.first = self.highest = sequence
            seen[sequence] = 1
            self.count = 1
            return True
        ahead = (sequence - self.highest) & _MASK
        if 0 < ahead < _HALF:
            if ahead > 1:
                self._forget(self.highest + 1, ahead - 1)
            self.highest += ahead
            seen[sequence] = 1
            self.count += 1
            return True
        if seen[sequence]:
            self.duplicates += 1
            return False
        seen[sequence] = 1
        self.count += 1
        self.first = min(self.first, self.highest - ((self.highest - sequence) & _MASK))
        return True

    @property
    def gaps(self) -> int:
        """Numbers between the first and the highest that never came, of those that could."""
        if not self.count:
            return 0
        return (self.highest - self.first) // self._step + 1 - self.count

    def _forget(self, start: int, length: int) -> None:
        begin = start & _MASK
        end = begin + length
        seen = self._seen
        if end <= 1 << 16:
            seen[begin:end] = bytes(length)
        else:
            seen[begin:] = bytes((1 << 16) - begin)
            seen[: end & _MASK] = bytes(end & _MASK)
