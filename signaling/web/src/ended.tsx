import { useEffect, useRef } from "react";
import { Mark } from "./mark.tsx";
import type { Ending } from "./reasons.ts";

interface EndedProps {
  readonly ending: Ending;
  readonly onAgain: () => void;
  readonly onLobby: () => void;
}

/** The call is over: why, and the way back. */
export function Ended({ ending, onAgain, onLobby }: EndedProps) {
  const again = useRef<HTMLButtonElement>(null);
  useEffect(() => again.current?.focus(), []);
  return (
    <main className="plain" data-testid="ended">
      <Mark className="mark" />
      <h1>{ending.title}</h1>
      <p role="status">{ending.sentence}</p>
      <div className="plain-actions">
        <button ref={again} type="button" className="primary" data-testid="join-again" onClick={onAgain}>
          Join again
        </button>
        <button type="button" className="quiet" onClick={onLobby}>
          Back to the start
        </button>
      </div>
    </main>
  );
}
