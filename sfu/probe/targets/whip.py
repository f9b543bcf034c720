"""WHIP (RFC 9725) to send and WHEP to receive: one POST of an offer, one DELETE."""

from __future__ import annotations

import contextlib
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urljoin, urlsplit

from sfu.probe.sides import BadDescription, LocalSide, RemoteSide, Track, offer, remote_side
from sfu.probe.targets import DescriptionRefused, Door, Exchange, Seat, Unreachable, refusal
from sfu.probe.targets.http import request

_TYPE: Final = "application/sdp"
_CREATED: Final = 201
# What a server may say to an offer it does not like (RFC 9725 section 4.2 and 4.3.1).
_OFFER_REFUSED: Final = frozenset({400, 406, 409, 422})
_SCHEMES: Final = ("whip+https", "whep+https", "whip+http", "whep+http")


class WhipTarget:
    """`whip+https://…` or `whep+https://…`, and the other one beside it where there is one."""

    def __init__(
        self, address: str, seats: Sequence[Seat], trust: ssl.SSLContext, *, beside: str = ""
    ) -> None:
        """`beside` is the URL of the other door of the same room; without it nobody listens.

        Raises `ValueError` for what is no such address.
        """
        doors: dict[str, str] = {}
        for each in filter(None, (address, beside)):
            url = urlsplit(each)
            if url.scheme not in _SCHEMES or url.hostname is None:
                raise ValueError(f"{each} is not whip+https://host/path")
            kind, _, rest = each.partition("+")
            doors[kind] = rest
        first = urlsplit(doors[address.partition("+")[0]])
        tls = trust if first.scheme == "https" else None
        self.name = address
        self.door = Door(first.hostname or "", first.port or (443 if tls else 80), tls)
        self.seats = tuple(seats)
        self.observes = len(doors) == 2
        self._doors = doors
        self._trust = trust

    async def open(self, seat: Seat, local: LocalSide) -> Exchange:
        """POST the offer, to WHIP when something is sent and to WHEP when not; where there is only
        one of them, the offer is made to suit it.
        """
        kind = "whip" if local.sends or "whep" not in self._doors else "whep"
        if kind == "whip":
            sends = local.sends or (Track("probe", secrets.randbits(31) | 1),)
            local = replace(local, sends=sends, receives=())
        authorization = {"Authorization": f"Bearer {seat.token}"} if seat.token else {}
        url = self._doors[kind]
        answer = await request(
            "POST",
            url,
            self._trust,
            headers=authorization | {"Content-Type": _TYPE, "Accept": _TYPE},
            body=offer(local),
        )
        if answer.status in _OFFER_REFUSED:
            raise DescriptionRefused(f"HTTP {answer.status} {answer.body[:200]}".strip())
        if answer.status != _CREATED:
            raise refusal(answer.status, answer.body, answer.headers.get("retry-after"))
        session = urljoin(url, answer.headers.get("location", ""))
        if urlsplit(session).netloc != urlsplit(url).netloc:
            session = ""  # another host's business: the token is not sent there
        exchange = WhipExchange(session, self._trust, authorization)
        try:
            exchange.remote = remote_side(answer.body)
        except BadDescription as error:
            await exchange.close()
            raise Unreachable(str(error)) from None
        return exchange

    async def close(self) -> None:
        """Nothing was started."""


class WhipExchange:
    """One session, ended by DELETE. WHIP has no word for a server that ends one."""

    def __init__(self, session: str, trust: ssl.SSLContext, authorization: dict[str, str]) -> None:
        self._session = session
        self._trust = trust
        self._authorization = authorization
        self.remote: RemoteSide

    def ended(self) -> str | None:
        return None

    async def close(self) -> None:
        if self._session:
            with contextlib.suppress(Unreachable):
                await request("DELETE", self._session, self._trust, headers=self._authorization)
