"""Writes the tables of docs/interop.md from what the last run proved."""

from __future__ import annotations

import datetime
import sys
from collections import defaultdict
from collections.abc import Iterator

from tests.interop.stacks.catalogue import RING, Entry, named
from tests.interop.stacks.combinations import ALLOWED, COMBINATIONS
from tests.interop.stacks.record import Claim, claims
from tests.node import ROOT

PAGE = ROOT / "docs" / "interop.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
MISSING = "**not shown in this run**"
TOLD = ("aiortc", "pion")
NARROWED = ("chromium", "firefox")


def main() -> int:
    """Rewrite the page between its markers; 1 if anything the tables ask for was not shown."""
    proven = list(claims())
    text = "\n".join([BEGIN, _stamp(proven), "", *_policies(proven), "", *_forced(proven), END])
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + text + rest.partition(END)[2])
    gaps = text.count(MISSING)
    print(f"{PAGE.relative_to(ROOT)}: {len(proven)} claims, {gaps} gaps")
    return 1 if gaps else 0


def _stamp(proven: list[Claim]) -> str:
    commits = ", ".join(sorted({claim.commit for claim in proven}))
    today = datetime.datetime.now(datetime.UTC).date()
    return f"Generated on {today} from {len(proven)} claims; commits they were shown at: {commits}."


def _policies(proven: list[Claim]) -> Iterator[str]:
    yield "## Under each policy"
    yield ""
    yield f"| stack | version | | {' | '.join(f'`{policy}`' for policy in ALLOWED)} |"
    yield "|---|---|---|" + "---|" * len(ALLOWED)
    for entry in RING:
        for role, verb in (("sender", "sends"), ("receiver", "receives")):
            cells = (_cell(entry, role, policy, proven) for policy in ALLOWED)
            version = entry.version() if role == "sender" else ""
            title = entry.title if role == "sender" else ""
            yield f"| {title} | {version} | {verb} | {' | '.join(cells)} |"


def _cell(entry: Entry, role: str, policy: str, proven: list[Claim]) -> str:
    found = [
        claim
        for claim in proven
        if (claim.stack, claim.role, claim.setting) == (entry.name, role, policy)
    ]
    if not found:
        return MISSING
    if any(claim.refused for claim in found):
        outcome, limitation = entry.refused[policy]
        return f"refused (`{outcome}`): {limitation}"
    by_transport: defaultdict[str, set[str]] = defaultdict(set)
    for claim in found:
        negotiated = f"`{claim.suite}`<br>`{claim.profile}`<br>{claim.group}"
        by_transport[negotiated].add(named(claim.other).title)
    word = "to" if role == "sender" else "from"
    return "<br>".join(
        f"{word} {', '.join(sorted(others))}<br>{negotiated}"
        for negotiated, others in by_transport.items()
    )


def _forced(proven: list[Claim]) -> Iterator[str]:
    yield "## One suite, one profile"
    yield ""
    told, narrowed = (", ".join(named(name).title for name in each) for each in (TOLD, NARROWED))
    yield (
        f"{told}: the client offers this pair alone, to a server that takes all of `standard`. "
        f"{narrowed}: the server takes this pair alone."
    )
    yield ""
    names = (*TOLD, *NARROWED)
    yield f"| suite | profile | {' | '.join(named(name).title for name in names)} |"
    yield "|---|---|" + "---|" * len(names)
    for suite, profile in COMBINATIONS:
        cells = []
        for name in names:
            roles = {
                claim.role
                for claim in proven
                if (claim.stack, claim.setting) == (name, "forced")
                and (claim.suite, claim.profile) == (suite, profile)
            }
            complete = roles == {"sender", "receiver"}
            cells.append("sends, receives" if complete else MISSING)
        yield f"| `{suite}` | `{profile}` | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
