"""The one error that reaches people, rendered only at the edges.

    Refusal             a remote asked for what it may not or cannot have

Anything else that escapes is our bug and is answered as `internal`.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request was refused: a stable `code` for programs, one sentence for a person.

    `status` is the HTTP status the edge answers with where HTTP is spoken.
    """

    def __init__(self, code: str, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.status = status
