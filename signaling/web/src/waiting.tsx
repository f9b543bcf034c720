import { Mark } from "./mark.tsx";

/** Something is under way and there is nothing to do but wait. */
export function Waiting({ words }: { words: string }) {
  return (
    <main className="plain" aria-busy="true">
      <Mark className="mark mark-breathing" />
      <p role="status">{words}</p>
    </main>
  );
}
