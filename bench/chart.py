"""A plain SVG of packets out per CPU-second: a bar for each server, a panel for each condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.scenarios import ALL
from bench.summary import Load

WIDTH, ROW, GAP, LEFT, TOP = 860, 15, 12, 220, 40
_COLOURS: Final = {
    "conclave": "#2471a3",
    "bare": "#b8c4cf",
    "janus": "#c0392b",
    "livekit": "#239b56",
}
_STYLE: Final = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.value{fill:#555}"


def chart(loads: Sequence[Load]) -> str:
    """All cells that were measured; thin lines span the lowest to the highest window."""
    most = max((one.per_cpu_second.high for one in loads), default=1.0)
    parts, y = [], TOP
    for profile, feedback in dict.fromkeys((one.profile, one.feedback) for one in loads):
        here = [one for one in loads if (one.profile, one.feedback) == (profile, feedback)]
        way = "with feedback, NACK and RTX" if feedback else "plain"
        title = f"{profile.upper()}, {way}: packets out per CPU-second"
        parts.append(f'<text class="title" x="10" y="{y}">{escape(title)}</text>')
        y += GAP
        for scenario in ALL:
            rows = [one for one in here if one.scenario == scenario.name]
            for number, one in enumerate(rows):
                parts += _bar(one, y, most, scenario.title if number == 0 else "")
                y += ROW
            y += GAP if rows else 0
        y += 2 * GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">\n'
        f'<style>{_STYLE}</style>\n<rect width="{WIDTH}" height="{y}" fill="#fff"/>\n'
        f"{_legend(loads)}\n{body}\n</svg>\n"
    )


def _legend(loads: Sequence[Load]) -> str:
    parts, x = [], LEFT
    for name in dict.fromkeys(one.server for one in loads):
        colour = _COLOURS.get(name, "#555")
        parts.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="18">{escape(name)}</text>')
        x += 50 + 8 * len(name)
    return "".join(parts)


def _bar(one: Load, y: float, most: float, title: str) -> list[str]:
    scale = (WIDTH - LEFT - 80) / most
    spread = one.per_cpu_second
    length, low, high = (scale * each for each in (spread.median, spread.low, spread.high))
    middle = y + ROW / 2 - 1
    return [
        f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(title)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 3}" '
        f'fill="{_COLOURS.get(one.server, "#555")}"/>',
        f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}" '
        'stroke="#333"/>',
        f'<text class="value" x="{LEFT + high + 5:.1f}" y="{y + 11}">'
        f"{spread.median / 1000:,.0f}k</text>",
    ]
