import {
  type TrackReference,
  type TrackReferenceOrPlaceholder,
  VideoTrack,
  isTrackReference,
  useTracks,
} from "@livekit/components-react";
import { Track } from "livekit-client";
import { type CSSProperties, type RefObject, useEffect, useRef, useState } from "react";
import { columns } from "./grid.ts";
import { ScreenIcon } from "./icons.tsx";
import { Tile, personName } from "./tile.tsx";

/** The pictures: a grid of people, or a shared screen with the people beside it. */
export function Stage() {
  const people = useTracks([{ source: Track.Source.Camera, withPlaceholder: true }], { onlySubscribed: false });
  const screens = useTracks([Track.Source.ScreenShare]).filter(isTrackReference);
  const shown = screens.find((each) => !each.participant.isLocal) ?? screens[0];
  return (
    <section className="stage" data-sharing={shown !== undefined} aria-label="People and screens">
      {shown !== undefined && <Screen track={shown} />}
      <People tracks={people} beside={shown !== undefined} />
    </section>
  );
}

function Screen({ track }: { track: TrackReference }) {
  const mine = track.participant.isLocal;
  const words = mine ? "You are sharing your screen" : `${personName(track.participant)} shares a screen`;
  return (
    <figure
      className="screen"
      data-testid="screen-stage"
      data-identity={track.participant.identity}
      data-local={mine}
    >
      <VideoTrack trackRef={track} aria-label={words} />
      <figcaption>
        <ScreenIcon />
        {words}
      </figcaption>
    </figure>
  );
}

function People({ tracks, beside }: { tracks: readonly TrackReferenceOrPlaceholder[]; beside: boolean }) {
  const list = useRef<HTMLUListElement>(null);
  const { width, height } = useSize(list);
  const across = columns(tracks.length, width, height);
  const style = { "--columns": across, "--rows": Math.ceil(tracks.length / across) } as CSSProperties;
  return (
    <ul className="people" ref={list} style={beside ? undefined : style}>
      {tracks.map((track) => (
        <Tile key={track.participant.identity} track={track} />
      ))}
    </ul>
  );
}

function useSize(element: RefObject<HTMLElement | null>): { width: number; height: number } {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    if (element.current === null) return undefined;
    const watch = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    watch.observe(element.current);
    return () => watch.disconnect();
  }, [element]);
  return size;
}
