import {
  type TrackReferenceOrPlaceholder,
  VideoTrack,
  isTrackReference,
  useIsMuted,
  useIsSpeaking,
  useParticipantInfo,
} from "@livekit/components-react";
import { type Participant, Track } from "livekit-client";
import { MicrophoneIcon } from "./icons.tsx";

/** One person: picture or initials, name, and whether they speak or are muted. */
export function Tile({ track }: { track: TrackReferenceOrPlaceholder }) {
  const { participant } = track;
  useParticipantInfo({ participant }); // a changed name is shown at once
  const speaking = useIsSpeaking(participant);
  const muted = useIsMuted({ participant, source: Track.Source.Microphone });
  const dark = useIsMuted(track);
  const name = personName(participant);
  return (
    <li
      className="tile"
      data-testid="participant-tile"
      data-identity={participant.identity}
      data-name={name}
      data-speaking={speaking}
      data-mic={muted ? "off" : "on"}
      data-camera={dark ? "off" : "on"}
      data-local={participant.isLocal}
    >
      {isTrackReference(track) && !dark ? (
        <VideoTrack trackRef={track} aria-label={`Camera of ${name}`} />
      ) : (
        <span className="initials" aria-hidden="true" data-tint={tint(participant.identity)}>
          {initials(name)}
        </span>
      )}
      <span className="nameplate">
        {muted && (
          <span className="muted" role="img" aria-label="Muted">
            <MicrophoneIcon off />
          </span>
        )}
        <span className="nameplate-name">{name}</span>
        {participant.isLocal && <span className="nameplate-you">you</span>}
      </span>
    </li>
  );
}

/** The name to show: what the server says, or the identity where there is none. */
export function personName(participant: Participant): string {
  return participant.name || participant.identity;
}

function initials(name: string): string {
  const words = name.split(/\s+/).filter((word) => word !== "");
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase();
}

/** One of four colours, the same for a person in every window. */
function tint(identity: string): number {
  let sum = 0;
  for (const character of identity) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65521;
  return sum % 4;
}
