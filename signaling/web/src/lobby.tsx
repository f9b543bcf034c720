import { type FormEvent, type ReactNode, useState } from "react";
import type { Wish } from "./app.tsx";
import { CameraIcon, MicrophoneIcon } from "./icons.tsx";
import { Mark } from "./mark.tsx";
import type { PageConfig } from "./server.ts";

const MAX_NAME = 128; // characters; the server takes no more

interface LobbyProps {
  readonly config: PageConfig | null;
  readonly wish: Wish;
  readonly error: string | null;
  readonly joining: boolean;
  readonly onJoin: (wish: Wish) => void;
}

/** Before the call: who, where, and with which devices. */
export function Lobby({ config, wish, error, joining, onJoin }: LobbyProps) {
  const linkNeeded = config !== null && !config.development && wish.token === null;
  return (
    <main className="lobby">
      <header className="lobby-brand">
        <Mark className="mark" />
        <div>
          <h1 className="wordmark">Conclave</h1>
          <p className="motto">A room with a key.</p>
        </div>
      </header>
      <section className="card" aria-label="Join a call">
        {linkNeeded ? (
          <LinkNeeded error={error} />
        ) : (
          <JoinForm wish={wish} error={error} joining={joining} onJoin={onJoin} />
        )}
      </section>
      <footer className="lobby-foot">
        {config?.development && <p className="chip">Development server: open to anybody who reaches it</p>}
        {config !== null && (
          <p>
            Encryption policy: {config.policy} · version {config.version}
          </p>
        )}
      </footer>
    </main>
  );
}

function LinkNeeded({ error }: { error: string | null }) {
  return (
    <>
      <h2>You need a link</h2>
      <p>
        This server lets in only people with a personal link. Ask whoever invited you to the call, or the people who run
        this server, to send you one.
      </p>
      <p>If you had a link and it stopped working, its time has run out: ask for a new one.</p>
      <ErrorLine error={error} />
    </>
  );
}

function JoinForm({ wish, error, joining, onJoin }: Omit<LobbyProps, "config">) {
  const [name, setName] = useState(wish.name);
  const [room, setRoom] = useState(wish.room);
  const [microphone, setMicrophone] = useState(wish.microphone);
  const [camera, setCamera] = useState(wish.camera);
  const [missing, setMissing] = useState<string | null>(null);
  const given = wish.token !== null; // the link says who and where

  function submit(event: FormEvent) {
    event.preventDefault();
    if (joining) return;
    const next: Wish = { name: name.trim(), room: room.trim(), microphone, camera, token: wish.token };
    if (!given && next.name === "") setMissing("Give a name, so that the others know who you are.");
    else if (!given && next.room === "") setMissing("Give the name of a room.");
    else {
      setMissing(null);
      onJoin(next);
    }
  }

  return (
    <form onSubmit={submit} noValidate>
      <h2>{given && room !== "" ? `Join ${room}` : "Join a call"}</h2>
      <Field label="Your name" id="name" value={name} onChange={setName} readOnly={given} complete="name" />
      <Field label="Room" id="room" value={room} onChange={setRoom} readOnly={given} complete="off" />
      <div className="switches">
        <Switch label="Microphone" on={microphone} onChange={setMicrophone}>
          <MicrophoneIcon off={!microphone} />
        </Switch>
        <Switch label="Camera" on={camera} onChange={setCamera}>
          <CameraIcon off={!camera} />
        </Switch>
      </div>
      <ErrorLine error={missing ?? error} />
      <button type="submit" className="primary wide" data-testid="join-button" aria-disabled={joining}>
        {joining ? "Joining…" : "Join"}
      </button>
    </form>
  );
}

interface FieldProps {
  readonly label: string;
  readonly id: "name" | "room";
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly readOnly: boolean;
  readonly complete: string;
}

function Field({ label, id, value, onChange, readOnly, complete }: FieldProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <input
        name={id}
        data-testid={`join-${id}`}
        value={value}
        readOnly={readOnly}
        maxLength={MAX_NAME}
        autoComplete={complete}
        autoCapitalize={id === "room" ? "none" : "words"}
        spellCheck={false}
        enterKeyHint="go"
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
  readonly children: ReactNode;
}

function Switch({ label, on, onChange, children }: SwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      className="switch"
      data-testid={`join-${label.toLowerCase()}`}
      onClick={() => onChange(!on)}
    >
      {children}
      <span>{label}</span>
      <span className="switch-state">{on ? "on" : "off"}</span>
    </button>
  );
}

function ErrorLine({ error }: { error: string | null }) {
  return (
    <div role="alert" className="error-line">
      {error !== null && <p data-testid="join-error">{error}</p>}
    </div>
  );
}
