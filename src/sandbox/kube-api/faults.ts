/** Faults to inject: what a broken, slow or overloaded API server does to its clients. */

export interface FaultRule {
  /** get, list, watch, create, update, patch, delete, or discovery (paths that name no object). Everything if absent. */
  readonly verb?: string | RegExp;
  /** Substring or pattern of the path with its query. Everything if absent. */
  readonly path?: string | RegExp;
  /** How often; without it, until undone. */
  readonly times?: number;
  /** Wait before anything else; with `after`, between the work and the answer. */
  readonly delayMs?: number;
  /** Answer with this status instead. */
  readonly status?: number;
  /** Seconds, as a Retry-After header. */
  readonly retryAfter?: number;
  /** Message of the Status object that goes with `status`. */
  readonly message?: string;
  /** Raw body instead of a Status object. */
  readonly body?: { readonly contentType: string; readonly text: string };
  /** Never answer. */
  readonly hang?: boolean;
  /** Cut the connection. */
  readonly drop?: boolean;
  /** Watches only: open the stream, then send nothing, for ever. */
  readonly mute?: boolean;
  /** Do the work first, then fail the answer: the client cannot know the outcome. */
  readonly after?: boolean;
}

export interface Faults {
  add(rule: FaultRule): () => void;
  /** The first rule that matches, and one use of it. */
  take(verb: string, path: string): FaultRule | null;
}

const matches = (pattern: string | RegExp | undefined, value: string): boolean =>
  pattern === undefined || (typeof pattern === 'string' ? value.includes(pattern) : pattern.test(value));

export function openFaults(): Faults {
  const rules = new Map<FaultRule, number>();
  return {
    add(rule) {
      // A copy is the key: the same rule object may be added twice.
      const added = { ...rule };
      rules.set(added, rule.times ?? Number.POSITIVE_INFINITY);
      return () => void rules.delete(added);
    },
    take(verb, path) {
      for (const [rule, left] of rules) {
        const verbFits = typeof rule.verb === 'string' ? rule.verb === verb : matches(rule.verb, verb);
        if (!verbFits || !matches(rule.path, path)) continue;
        if (left <= 1) rules.delete(rule);
        else rules.set(rule, left - 1);
        return rule;
      }
      return null;
    },
  };
}
