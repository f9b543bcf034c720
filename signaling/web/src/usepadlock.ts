// Keeps the padlock's verdict fresh while a call lasts.

import { type Room, RoomEvent } from "livekit-client";
import { useEffect, useState } from "react";
import { browserTransports } from "./browserview.ts";
import { peerConnections } from "./peerconnections.ts";
import { ServerError, type TransportReport, ownTransports } from "./server.ts";
import { type Verdict, compare } from "./verdict.ts";

const SETTLING_MS = 1_000; // while there is no verdict, or one that must be seen twice
const WATCHED_MS = 5_000; // with the panel open
const RESTING_MS = 30_000;

/** The state of the padlock. `trouble` says why the server's record could not be had. */
export interface Padlock {
  readonly verdict: Verdict;
  readonly transports: readonly TransportReport[];
  readonly trouble: string | null;
}

const NOTHING: Padlock = { verdict: { kind: "pending", differences: [] }, transports: [], trouble: null };

/** Compares the server's record with this browser's view now and then. */
export function usePadlock(room: Room, token: string, watched: boolean): Padlock {
  const [padlock, setPadlock] = useState(NOTHING);
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let doubts = 0;

    const look = async () => {
      const found = await read(room, token, stop.signal);
      if (stop.signal.aborted) return;
      // The two sides are read at different moments, and a reconnection may lie between them: a
      // difference counts when it is found a second time.
      doubts = found.verdict.kind === "mismatch" ? doubts + 1 : 0;
      if (doubts !== 1) setPadlock(found);
      const settled = doubts !== 1 && found.verdict.kind !== "pending";
      timer = setTimeout(look, settled ? (watched ? WATCHED_MS : RESTING_MS) : SETTLING_MS);
    };
    const again = () => {
      clearTimeout(timer);
      void look();
    };

    void look();
    room.on(RoomEvent.Reconnected, again);
    return () => {
      stop.abort();
      clearTimeout(timer);
      room.off(RoomEvent.Reconnected, again);
    };
  }, [room, token, watched]);
  return padlock;
}

async function read(room: Room, token: string, signal: AbortSignal): Promise<Padlock> {
  try {
    const { transports } = await ownTransports(token, signal);
    const seen = await browserTransports(peerConnections(room));
    return { verdict: compare(transports, seen), transports, trouble: null };
  } catch (error) {
    if (error instanceof ServerError && error.code === "not_in_room") return NOTHING;
    const trouble = error instanceof ServerError ? error.message : "This browser's own record cannot be read.";
    return { verdict: { kind: "unknown", differences: [] }, transports: [], trouble };
  }
}
