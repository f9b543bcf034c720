// Making the LiveKit room of a call, and switching its devices on.

import { type AudioCaptureOptions, Room, type RoomOptions } from "livekit-client";
import type { Device } from "./reasons.ts";
import { signallingUrl } from "./server.ts";

/** Sound as it is: without echo cancellation, noise suppression and gain control. */
export const RAW_AUDIO: AudioCaptureOptions = {
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

/** A connected room, publishing nothing yet. Rejects with livekit-client's ConnectionError. */
export async function openRoom(token: string, raw: boolean): Promise<Room> {
  const options: RoomOptions = { adaptiveStream: true, dynacast: true };
  if (raw) options.audioCaptureDefaults = RAW_AUDIO;
  const room = new Room(options);
  try {
    await room.connect(signallingUrl(location), token);
  } catch (error) {
    await room.disconnect();
    throw error;
  }
  return room;
}

/** Switches on what was chosen before joining; asks once for both where both are wanted. */
export async function startDevices(
  room: Room,
  wanted: { readonly microphone: boolean; readonly camera: boolean },
  onError: (device: Device, error: unknown) => void,
): Promise<void> {
  const me = room.localParticipant;
  if (wanted.microphone && wanted.camera) {
    try {
      await me.enableCameraAndMicrophone();
      return;
    } catch {
      // One of the two is missing or refused: ask for each, to say which.
    }
  }
  const each: Promise<unknown>[] = [];
  if (wanted.microphone && !me.isMicrophoneEnabled) {
    each.push(me.setMicrophoneEnabled(true).catch((error: unknown) => onError("microphone", error)));
  }
  if (wanted.camera && !me.isCameraEnabled) {
    each.push(me.setCameraEnabled(true).catch((error: unknown) => onError("camera", error)));
  }
  await Promise.all(each);
}
