// The only file that reaches below livekit-client's public interface: `room.engine` is marked
// internal there, and nothing public leads to the peer connections of a Room. Written against
// livekit-client 2.23.0; where the path is missing, the answer is an empty list and the padlock
// panel says that the browser's side could not be read.

import type { Room } from "livekit-client";

/** One peer connection of this browser, as far as the padlock panel needs it. */
export interface PeerConnection {
  getStats(): Promise<RTCStatsReport> | undefined;
  getLocalDescription(): RTCSessionDescription | null | undefined;
  getRemoteDescription(): RTCSessionDescription | null | undefined;
}

interface Internals {
  readonly engine?: {
    readonly pcManager?: {
      readonly publisher?: Partial<PeerConnection>;
      readonly subscriber?: Partial<PeerConnection>;
    };
  };
}

/** The peer connections of a room: one on `/rtc/v1`, up to two on `/rtc`. */
export function peerConnections(room: Room): PeerConnection[] {
  const connections = (room as unknown as Internals).engine?.pcManager;
  return [connections?.publisher, connections?.subscriber].filter(isPeerConnection);
}

function isPeerConnection(value: Partial<PeerConnection> | undefined): value is PeerConnection {
  return (
    typeof value?.getStats === "function" &&
    typeof value.getLocalDescription === "function" &&
    typeof value.getRemoteDescription === "function"
  );
}
