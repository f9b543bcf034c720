/** Conclave's mark: six people around a keyhole. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg className={className} viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <g className="mark-people">
        <circle cx="24" cy="5.5" r="3.2" />
        <circle cx="40" cy="14.75" r="3.2" />
        <circle cx="40" cy="33.25" r="3.2" />
        <circle cx="24" cy="42.5" r="3.2" />
        <circle cx="8" cy="33.25" r="3.2" />
        <circle cx="8" cy="14.75" r="3.2" />
      </g>
      <path
        className="mark-keyhole"
        d="M24 13.5a6.2 6.2 0 0 0-3.1 11.6L19 33.5h10l-1.9-8.4A6.2 6.2 0 0 0 24 13.5z"
      />
    </svg>
  );
}
