import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { readEntry, withoutFragment } from "./entry.ts";
import "./styles/palette.css";
import "./styles/page.css";
import "./styles/lobby.css";
import "./styles/call.css";
import "./styles/padlock.css";

const entry = readEntry(location.search, location.hash);
if (location.hash !== "") {
  // A token in the address would end up in the history and in screenshots.
  history.replaceState(null, "", withoutFragment(location.pathname, location.search));
}
// A page restored from the back-forward cache has lost its connections: begin again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App entry={entry} />);
