import { useAudioPlayback } from "@livekit/components-react";
import { CloseIcon, SoundIcon } from "./icons.tsx";

interface NoticesProps {
  readonly notice: string | null;
  readonly onDismiss: () => void;
}

/** What needs attention during a call: a device that fails, sound the browser holds back. */
export function Notices({ notice, onDismiss }: NoticesProps) {
  const { canPlayAudio, startAudio } = useAudioPlayback();
  return (
    <div className="notices">
      {!canPlayAudio && (
        <button type="button" className="primary" data-testid="start-audio" onClick={() => void startAudio()}>
          <SoundIcon />
          Turn the sound on
        </button>
      )}
      <div role="alert">
        {notice !== null && (
          <p className="notice" data-testid="notice">
            <span>{notice}</span>
            <button type="button" className="bare" aria-label="Dismiss" onClick={onDismiss}>
              <CloseIcon />
            </button>
          </p>
        )}
      </div>
    </div>
  );
}
