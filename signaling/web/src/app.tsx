import type { Room } from "livekit-client";
import { useCallback, useEffect, useRef, useState } from "react";
import { Call } from "./call.tsx";
import { openRoom } from "./connection.ts";
import { Ended } from "./ended.tsx";
import { type Entry, tokenFacts } from "./entry.ts";
import { Lobby } from "./lobby.tsx";
import * as memory from "./memory.ts";
import { type Ending, ending, joinSentence } from "./reasons.ts";
import { type PageConfig, developmentToken, pageConfig } from "./server.ts";
import { Waiting } from "./waiting.tsx";

/** What somebody wants to join as. `token` is null where the development server mints one. */
export type Wish = memory.RememberedCall;

type Screen =
  | { readonly kind: "waiting"; readonly words: string }
  | { readonly kind: "lobby"; readonly error: string | null; readonly joining: boolean }
  | { readonly kind: "call"; readonly room: Room; readonly token: string }
  | { readonly kind: "ended"; readonly ending: Ending };

/** The whole page: which screen is shown, and what leads from one to the next. */
export function App({ entry }: { entry: Entry }) {
  const [screen, show] = useState<Screen>({ kind: "waiting", words: "One moment…" });
  const [config, setConfig] = useState<PageConfig | null>(null);
  const [wish, setWish] = useState<Wish>(() => firstWish(entry));
  const attempt = useRef(0);

  const join = useCallback(
    async (next: Wish) => {
      const own = ++attempt.current;
      setWish(next);
      try {
        const token = next.token ?? (await developmentToken(next.room, next.name));
        const room = await openRoom(token, entry.raw);
        if (own !== attempt.current) {
          await room.disconnect(); // the page has moved on meanwhile
          return;
        }
        memory.rememberCall(next);
        nameInAddress(next, entry);
        show({ kind: "call", room, token });
      } catch (error) {
        memory.forgetCall();
        if (own === attempt.current) show({ kind: "lobby", error: joinSentence(error), joining: false });
      }
    },
    [entry],
  );

  useEffect(() => {
    const stop = new AbortController();
    pageConfig(stop.signal).then(
      (found) => {
        setConfig(found);
        const again = callToResume(entry);
        if (again === null) {
          const token = entry.token ?? (found.development ? null : memory.rememberedToken());
          setWish((first) => withToken(first, token));
          show({ kind: "lobby", error: null, joining: false });
        } else {
          show({ kind: "waiting", words: `Joining ${again.room} again…` });
          void join(again);
        }
      },
      (error: unknown) => {
        if (!stop.signal.aborted) show({ kind: "lobby", error: joinSentence(error), joining: false });
      },
    );
    return () => {
      stop.abort();
      attempt.current += 1;
    };
  }, [entry, join]);

  const over = useCallback((reason: string | undefined) => {
    memory.forgetCall();
    show({ kind: "ended", ending: ending(reason) });
  }, []);

  switch (screen.kind) {
    case "waiting":
      return <Waiting words={screen.words} />;
    case "lobby":
      return (
        <Lobby
          config={config}
          wish={wish}
          error={screen.error}
          joining={screen.joining}
          onJoin={(next) => {
            if (next.token === null) memory.rememberName(next.name);
            show({ kind: "lobby", error: null, joining: true });
            void join(next);
          }}
        />
      );
    case "call":
      return <Call room={screen.room} token={screen.token} wish={wish} onChoice={setWish} onOver={over} />;
    case "ended":
      return (
        <Ended
          ending={screen.ending}
          onAgain={() => {
            show({ kind: "waiting", words: `Joining ${wish.room} again…` });
            void join(wish);
          }}
          onLobby={() => show({ kind: "lobby", error: null, joining: false })}
        />
      );
  }
}

function firstWish(entry: Entry): Wish {
  if (entry.token !== null) memory.rememberToken(entry.token);
  return {
    room: entry.room,
    name: entry.name || memory.rememberedName(),
    microphone: true,
    camera: true,
    token: entry.token,
  };
}

function withToken(wish: Wish, token: string | null): Wish {
  const facts = token === null ? null : tokenFacts(token);
  return { ...wish, token, room: facts?.room || wish.room, name: facts?.name || wish.name };
}

/** The call a reload interrupted, unless the address now leads elsewhere. */
function callToResume(entry: Entry): Wish | null {
  const call = memory.rememberedCall();
  if (call === null || entry.token !== null) return null;
  return entry.room === "" || entry.room === call.room ? call : null;
}

/** In development the address invites others to the same room. */
function nameInAddress(wish: Wish, entry: Entry): void {
  if (wish.token !== null) return;
  const query = new URLSearchParams({ room: wish.room, ...(entry.raw ? { audio: "raw" } : {}) });
  history.replaceState(null, "", `${location.pathname}?${query.toString()}`);
}
