// The page's icons: 24-unit strokes in the text's colour, decorative; their buttons are labelled.
import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const STRIKE = <path d="M4 4l16 16" />;

export function MicrophoneIcon({ off = false }: { off?: boolean }) {
  return (
    <Icon>
      <rect x="9" y="3" width="6" height="11" rx="3" />
      <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
      {off && STRIKE}
    </Icon>
  );
}

export function CameraIcon({ off = false }: { off?: boolean }) {
  return (
    <Icon>
      <rect x="3" y="6.5" width="12" height="11" rx="2.5" />
      <path d="M15 11l6-3.5v9L15 13" />
      {off && STRIKE}
    </Icon>
  );
}

export function ScreenIcon({ off = false }: { off?: boolean }) {
  return (
    <Icon>
      <rect x="3" y="4.5" width="18" height="12" rx="2" />
      <path d="M9 20h6" />
      {off ? <path d="M9.5 8l5 5m0-5l-5 5" /> : <path d="M12 13.5V8m-2.5 2.2L12 7.7l2.5 2.5" />}
    </Icon>
  );
}

export function LeaveIcon() {
  return (
    <Icon>
      <path d="M10 4H6.5A1.5 1.5 0 0 0 5 5.5v13A1.5 1.5 0 0 0 6.5 20H10M14 8l4 4-4 4M18 12H9.5" />
    </Icon>
  );
}

export function PeopleIcon() {
  return (
    <Icon>
      <circle cx="9" cy="8.5" r="3.2" />
      <path d="M3 19.5c.6-3.6 3-5.5 6-5.5s5.4 1.9 6 5.5M15.5 5.6a3.2 3.2 0 0 1 0 5.8M17.5 14.4c1.9.8 3.1 2.5 3.5 5.1" />
    </Icon>
  );
}

export function PadlockIcon({ warning = false }: { warning?: boolean }) {
  return (
    <Icon>
      <rect x="5" y="10.5" width="14" height="10" rx="2.5" />
      <path d={warning ? "M8 10.5V7.5a4 4 0 0 1 7.6-1.7" : "M8 10.5V7.5a4 4 0 0 1 8 0v3"} />
      <path d="M12 14.5v2.5" />
    </Icon>
  );
}

export function CloseIcon() {
  return (
    <Icon>
      <path d="M6 6l12 12M18 6L6 18" />
    </Icon>
  );
}

export function SoundIcon() {
  return (
    <Icon>
      <path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11" />
    </Icon>
  );
}
