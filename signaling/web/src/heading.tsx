import { useConnectionState, useParticipants } from "@livekit/components-react";
import { ConnectionState } from "livekit-client";
import { type RefObject, useEffect } from "react";
import { PadlockIcon, PeopleIcon } from "./icons.tsx";
import { Mark } from "./mark.tsx";
import type { Verdict } from "./verdict.ts";

interface HeadingProps {
  readonly roomName: string;
  readonly padlock: Verdict["kind"];
  readonly padlockRef: RefObject<HTMLButtonElement | null>;
  readonly panelOpen: boolean;
  readonly onPadlock: () => void;
}

/** The line above the call: where, with how many, and how safely. */
export function Heading({ roomName, padlock, padlockRef, panelOpen, onPadlock }: HeadingProps) {
  useEffect(() => {
    document.title = `${roomName} · Conclave`;
    return () => {
      document.title = "Conclave";
    };
  }, [roomName]);
  return (
    <header className="heading">
      <Mark className="mark" />
      <h1 title={roomName}>{roomName}</h1>
      <Connection />
      <span className="heading-space" />
      <Count />
      <button
        ref={padlockRef}
        type="button"
        className="padlock"
        data-testid="padlock"
        data-match={padlock}
        aria-expanded={panelOpen}
        aria-controls="padlock-panel"
        aria-label={`Encryption of this call: ${PADLOCK_WORDS[padlock].toLowerCase()}`}
        onClick={onPadlock}
      >
        <PadlockIcon warning={padlock === "mismatch"} />
        <span>{PADLOCK_WORDS[padlock]}</span>
      </button>
    </header>
  );
}

const PADLOCK_WORDS: Readonly<Record<Verdict["kind"], string>> = {
  match: "Verified",
  mismatch: "Warning",
  pending: "Checking",
  unknown: "Encrypted",
};

const CONNECTION_WORDS: Readonly<Record<ConnectionState, string>> = {
  [ConnectionState.Connected]: "Connected",
  [ConnectionState.Connecting]: "Connecting…",
  [ConnectionState.Reconnecting]: "Reconnecting…",
  [ConnectionState.SignalReconnecting]: "Reconnecting…",
  [ConnectionState.Disconnected]: "Disconnected",
};

function Connection() {
  const state = useConnectionState();
  return (
    <span className="connection" role="status" data-testid="connection-state" data-state={state}>
      <span className="connection-dot" aria-hidden="true" />
      <span className="connection-words">{CONNECTION_WORDS[state]}</span>
    </span>
  );
}

function Count() {
  const people = useParticipants().length;
  return (
    <span className="count" title={people === 1 ? "Only you" : `${people} people`}>
      <PeopleIcon />
      <span className="unseen">People in this call: </span>
      <span data-testid="participant-count">{people}</span>
    </span>
  );
}
