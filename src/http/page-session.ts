/** What GET /ui/session answers: who is signed in, what they may do, and where the page leads to. Types only: the page reads them too. */
import type { Millis } from '../domain/plan.ts';

/** Where the page leads to. */
export interface PageLinks {
  /** Cluster -> address of its Prometheus as a browser reaches it. */
  readonly prometheus: Readonly<Record<string, string>>;
}

export interface SessionBody {
  /** null: nobody is signed in, and the rest is empty. */
  readonly principal: {
    readonly name: string;
    readonly role: string;
    /** As approvals ask for them. */
    readonly persons: readonly string[];
    readonly groups: readonly string[];
    /** Where they may change something; in it null: everywhere. null: their role alone says. */
    readonly scope: {
      readonly namespaces: readonly string[] | null;
      readonly services: readonly string[] | null;
    } | null;
  } | null;
  readonly may: {
    readonly start: boolean;
    readonly pause: boolean;
    readonly promote: boolean;
    readonly abort: boolean;
    readonly giveUp: boolean;
    /** Read the audit. */
    readonly audit: boolean;
  };
  readonly expiresAt: string | null;
  /** Longest silence of a live stream: after twice that the page calls itself stale. */
  readonly heartbeatMs: Millis;
  readonly version: string | null;
  readonly links: PageLinks;
  /** The button beside the API token; null: there is no OpenID provider. */
  readonly signOn: { readonly label: string; readonly href: string } | null;
}
