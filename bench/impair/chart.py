"""A plain SVG of a case over time: bitrate against the cap, the picture's height, frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.impair.seen import Seen

WIDTH, PANEL, LEFT, TOP = 760, 170, 60, 34
_CAP, _LINE, _HEIGHT, _FRAMES = "#c0392b", "#2471a3", "#7d8a97", "#239b56"
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#333}line,polyline{fill:none;stroke-width:2}"
    ".grid{stroke:#ddd;stroke-width:1}"
)

Points = Sequence[tuple[float, float]]


def chart(panels: Sequence[tuple[str, Seen]]) -> str:
    """One panel for each title and what was seen, over seconds."""
    height = TOP + len(panels) * (PANEL + TOP) + 10
    drawn = [_panel(title, seen, TOP + n * (PANEL + TOP)) for n, (title, seen) in enumerate(panels)]
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f'<style>{_STYLE}</style>\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f"{_legend()}\n{body}\n</svg>\n"
    )


def _legend() -> str:
    words = (
        ("cap", _CAP),
        ("delivered, Mbit/s", _LINE),
        ("height / 300", _HEIGHT),
        ("frames/s / 15", _FRAMES),
    )
    x, parts = LEFT, []
    for word, colour in words:
        parts.append(f'<line x1="{x}" y1="16" x2="{x + 24}" y2="16" stroke="{colour}"/>')
        parts.append(f'<text x="{x + 30}" y="20">{word}</text>')
        x += 50 + 8 * len(word)
    return "".join(parts)


def _panel(title: str, seen: Seen, top: int) -> str:
    end = seen.series["at"][-1]
    highest = max(2.5, *(kbit / 1000 for kbit in seen.series["kbit"]))
    right, bottom = WIDTH - 20, top + PANEL - 20

    def place(points: Points) -> str:
        return " ".join(
            f"{LEFT + x / end * (right - LEFT):.1f},{bottom - y / highest * (PANEL - 30):.1f}"
            for x, y in points
        )

    def line(points: Points, colour: str, more: str = "") -> str:
        return f'<polyline points="{place(points)}" stroke="{colour}"{more}/>'

    at = seen.series["at"]
    cap = [
        (moment, step.rate / 1e6)
        for step in seen.steps
        if step.rate
        for moment in (step.start, step.end)
    ]
    parts = [f'<text x="{LEFT}" y="{top}">{escape(title)}</text>']
    for level in range(int(highest) + 1):
        x, y = place([(0, level)]).split(",")
        parts.append(f'<line class="grid" x1="{x}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 20}" y="{float(y) + 4:.1f}">{level}</text>')
    for second in range(0, int(end) + 1, 5):
        x = place([(second, 0)]).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{second} s</text>')
    heights = [(x, y / 300) for x, y in zip(at, seen.series["height"], strict=True)]
    parts.append(line(heights, _HEIGHT))
    frames = [(x, y / 15) for x, y in zip(at, seen.series["fps"], strict=True)]
    parts.append(line(frames, _FRAMES))
    parts.append(line(cap, _CAP, ' stroke-dasharray="6 4"'))
    parts.append(line([(x, y / 1000) for x, y in zip(at, seen.series["kbit"], strict=True)], _LINE))
    return "\n".join(parts)
