"""The connections that a page makes by itself, and what getStats says of them.

`remember` before the page connects; from then on `window.connections` holds its RTCPeerConnections.
Nothing that the page does is changed.
"""

from __future__ import annotations

from typing import Any, Final

from tests.browser.driver import Page

_REMEMBER: Final = """() => {
  window.connections = new Set();
  const original = RTCPeerConnection.prototype.setLocalDescription;
  RTCPeerConnection.prototype.setLocalDescription = function (...args) {
    window.connections.add(this);
    return original.apply(this, args);
  };
}"""

_STATISTICS: Final = """async (types) => {
  const found = [];
  for (const connection of window.connections ?? []) {
    for (const one of (await connection.getStats()).values()) {
      if (types.includes(one.type)) found.push(one);
    }
  }
  return found;
}"""


async def remember(page: Page) -> None:
    """Keep every connection that the page makes from now on. Raises DriverError."""
    await page.evaluate(_REMEMBER)


async def statistics(page: Page, *types: str) -> list[dict[str, Any]]:
    """What getStats says of these types, over all connections. Raises DriverError."""
    return list(await page.evaluate(_STATISTICS, list(types)))
