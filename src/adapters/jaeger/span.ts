/** One span, whichever API of Jaeger it came by. */
import type { Instant, Millis } from '../../domain/plan.ts';

export interface Span {
  /** Hexadecimal, as in addresses. */
  readonly traceId: string;
  readonly spanId: string;
  readonly service: string;
  readonly operation: string;
  readonly start: Instant;
  readonly duration: Millis;
  /** Its own and its process's; values as text. */
  readonly tags: Readonly<Record<string, string>>;
  /** The span's own status says error, beside its tags. */
  readonly failed: boolean;
}
