import { useEffect, useRef } from "react";
import { CloseIcon, PadlockIcon } from "./icons.tsx";
import type { Fingerprint, TransportReport } from "./server.ts";
import type { Padlock } from "./usepadlock.ts";
import { LIMITS, facts, roleTitle, summary } from "./wording.ts";

interface PadlockPanelProps {
  readonly padlock: Padlock;
  readonly onClose: () => void;
}

/** How this call is encrypted: the verdict, what it means, and the server's record in full. */
export function PadlockPanel({ padlock, onClose }: PadlockPanelProps) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  return (
    <aside
      id="padlock-panel"
      className="panel"
      role="dialog"
      aria-labelledby="padlock-title"
      data-testid="padlock-panel"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header className="panel-head">
        <h2 id="padlock-title">Encryption of this call</h2>
        <button ref={close} type="button" className="bare" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <VerdictBox padlock={padlock} />
      {padlock.transports.map((report) => (
        <Transport key={report.role} report={report} />
      ))}
      <p className="panel-limits">{LIMITS}</p>
    </aside>
  );
}

function VerdictBox({ padlock: { verdict, trouble } }: { padlock: Padlock }) {
  const { headline, sentence } = summary(verdict);
  return (
    <section
      className="verdict"
      data-testid="padlock-match"
      data-match={verdict.kind}
      role={verdict.kind === "mismatch" ? "alert" : "status"}
    >
      <PadlockIcon warning={verdict.kind === "mismatch"} />
      <div>
        <h3>{trouble === null ? headline : "The server's record cannot be read"}</h3>
        <p>{trouble ?? sentence}</p>
        {verdict.differences.length > 0 && (
          <ul>
            {verdict.differences.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

function Transport({ report }: { report: TransportReport }) {
  return (
    <section className="transport" data-role={report.role} data-state={report.state}>
      <h3>
        {roleTitle(report.role)}
        <span>as the server recorded it</span>
      </h3>
      {report.failure !== null && <p className="transport-failure">Failed: {report.failure.replaceAll("_", " ")}</p>}
      <dl>
        {facts(report).map(({ term, value, meaning }) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>
              <code>{value}</code>
              {meaning !== "" && <small>{meaning}</small>}
            </dd>
          </div>
        ))}
        <Certificate term="Server's certificate" fingerprint={report.local_fingerprint} />
        <Certificate term="This browser's certificate" fingerprint={report.remote_fingerprint} />
      </dl>
    </section>
  );
}

function Certificate({ term, fingerprint }: { term: string; fingerprint: Fingerprint | null }) {
  return (
    <div className="certificate">
      <dt>{term}</dt>
      <dd>
        {fingerprint === null ? (
          <code>not recorded</code>
        ) : (
          <>
            <small>{fingerprint.algorithm}</small>
            <code>{fingerprint.value}</code>
          </>
        )}
      </dd>
    </div>
  );
}
