import { useLocalParticipantPermissions, useTrackToggle } from "@livekit/components-react";
import { Track } from "livekit-client";
import type { ReactNode } from "react";
import type { Wish } from "./app.tsx";
import { CameraIcon, LeaveIcon, MicrophoneIcon, ScreenIcon } from "./icons.tsx";
import type { Device } from "./reasons.ts";

interface ControlsProps {
  readonly onLeave: () => void;
  readonly onDeviceError: (device: Device, error: unknown) => void;
  readonly onChoice: (choice: Partial<Wish>) => void;
}

/** What one can do in a call. */
export function Controls({ onLeave, onDeviceError, onChoice }: ControlsProps) {
  const mayPublish = useLocalParticipantPermissions()?.canPublish ?? true;
  const microphone = useTrackToggle({
    source: Track.Source.Microphone,
    onDeviceError: (error) => onDeviceError("microphone", error),
  });
  const camera = useTrackToggle({
    source: Track.Source.Camera,
    onDeviceError: (error) => onDeviceError("camera", error),
  });
  const screen = useTrackToggle({
    source: Track.Source.ScreenShare,
    captureOptions: { audio: true, systemAudio: "include" },
    onDeviceError: (error) => onDeviceError("screen", error),
  });
  return (
    <div className="controls" role="toolbar" aria-label="Call controls">
      {mayPublish && (
        <>
          <Control
            id="mic-toggle"
            on={microphone.enabled}
            label={microphone.enabled ? "Mute microphone" : "Unmute microphone"}
            word={microphone.enabled ? "Mute" : "Unmute"}
            onClick={() => {
              onChoice({ microphone: !microphone.enabled });
              void microphone.toggle();
            }}
          >
            <MicrophoneIcon off={!microphone.enabled} />
          </Control>
          <Control
            id="camera-toggle"
            on={camera.enabled}
            label={camera.enabled ? "Switch camera off" : "Switch camera on"}
            word="Camera"
            onClick={() => {
              onChoice({ camera: !camera.enabled });
              void camera.toggle();
            }}
          >
            <CameraIcon off={!camera.enabled} />
          </Control>
          {CAN_SHARE && (
            <Control
              id="screen-toggle"
              on={screen.enabled}
              label={screen.enabled ? "Stop sharing the screen" : "Share a screen, with its sound"}
              word={screen.enabled ? "Stop" : "Share"}
              onClick={() => void screen.toggle()}
            >
              <ScreenIcon off={screen.enabled} />
            </Control>
          )}
        </>
      )}
      <button type="button" className="control leave" data-testid="leave" aria-label="Leave the call" onClick={onLeave}>
        <LeaveIcon />
        <span>Leave</span>
      </button>
    </div>
  );
}

// Phones' browsers have no screen capture.
const CAN_SHARE = typeof navigator.mediaDevices?.getDisplayMedia === "function";

interface ControlProps {
  readonly id: "mic-toggle" | "camera-toggle" | "screen-toggle";
  readonly on: boolean;
  readonly label: string;
  readonly word: string;
  readonly onClick: () => void;
  readonly children: ReactNode;
}

function Control({ id, on, label, word, onClick, children }: ControlProps) {
  return (
    <button
      type="button"
      className="control"
      data-testid={id}
      data-enabled={on}
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      {children}
      <span>{word}</span>
    </button>
  );
}
