import { RoomAudioRenderer, RoomContext } from "@livekit/components-react";
import { DisconnectReason, type Room, RoomEvent } from "livekit-client";
import { useCallback, useEffect, useRef, useState } from "react";
import type { Wish } from "./app.tsx";
import { startDevices } from "./connection.ts";
import { Controls } from "./controls.tsx";
import { Heading } from "./heading.tsx";
import { rememberCall } from "./memory.ts";
import { Notices } from "./notices.tsx";
import { PadlockPanel } from "./padlock.tsx";
import { type Device, deviceSentence } from "./reasons.ts";
import { Stage } from "./stage.tsx";
import { usePadlock } from "./usepadlock.ts";

interface CallProps {
  readonly room: Room;
  readonly token: string;
  readonly wish: Wish;
  /** What a reload or "Join again" should come back with. */
  readonly onChoice: (wish: Wish) => void;
  /** The call is over, with the name of LiveKit's DisconnectReason. */
  readonly onOver: (reason: string | undefined) => void;
}

/** The call: everything on screen from joining to leaving. Owns the room's end. */
export function Call({ room, token, wish, onChoice, onOver }: CallProps) {
  const [notice, setNotice] = useState<string | null>(null);
  const [panelOpen, setPanelOpen] = useState(false);
  const leaving = useRef(false);
  const padlockButton = useRef<HTMLButtonElement>(null);
  const padlock = usePadlock(room, token, panelOpen);

  const deviceFailed = useCallback((device: Device, error: unknown) => {
    const sentence = deviceSentence(device, error);
    if (sentence !== null) setNotice(sentence);
  }, []);

  useRoomEnd(room, leaving, onOver);
  useDevices(room, wish, deviceFailed);

  const choose = useCallback(
    (choice: Partial<Wish>) => {
      const next = { ...wish, ...choice };
      rememberCall(next);
      onChoice(next);
    },
    [wish, onChoice],
  );

  const closePanel = useCallback(() => {
    setPanelOpen(false);
    padlockButton.current?.focus();
  }, []);

  const leave = useCallback(() => {
    leaving.current = true;
    void room.disconnect();
  }, [room]);

  return (
    <RoomContext.Provider value={room}>
      <main className="call" data-panel={panelOpen}>
        <Heading
          roomName={room.name || wish.room}
          padlock={padlock.verdict.kind}
          padlockRef={padlockButton}
          panelOpen={panelOpen}
          onPadlock={() => setPanelOpen(!panelOpen)}
        />
        <Stage />
        {panelOpen && <PadlockPanel padlock={padlock} onClose={closePanel} />}
        <Notices notice={notice} onDismiss={() => setNotice(null)} />
        <Controls onLeave={leave} onDeviceError={deviceFailed} onChoice={choose} />
        <RoomAudioRenderer />
      </main>
    </RoomContext.Provider>
  );
}

/** Tells how the call ended, and ends it when the screen goes away. */
function useRoomEnd(
  room: Room,
  leaving: React.RefObject<boolean>,
  onOver: (reason: string | undefined) => void,
): void {
  useEffect(() => {
    const ended = (reason?: DisconnectReason) => {
      // A page that is being reloaded or left also disconnects: that is not the end of the call.
      if (reason === DisconnectReason.CLIENT_INITIATED && !leaving.current) return;
      onOver(leaving.current ? "CLIENT_INITIATED" : reason === undefined ? undefined : DisconnectReason[reason]);
    };
    room.on(RoomEvent.Disconnected, ended);
    return () => {
      room.off(RoomEvent.Disconnected, ended);
      void room.disconnect();
    };
  }, [room, leaving, onOver]);
}

/** Switches the chosen devices on, once per room. */
function useDevices(room: Room, wish: Wish, onError: (device: Device, error: unknown) => void): void {
  const started = useRef<Room | null>(null);
  useEffect(() => {
    if (started.current === room) return;
    started.current = room;
    void startDevices(room, wish, onError);
  }, [room, wish, onError]);
}
