/**
 * What came from Slack is taken down, and Slack is told so at once; a worker does the rest (`inbound.ts`): Slack gives a
 * request three seconds, and a mesh may need longer.
 */
import type { Millis } from '../domain/plan.ts';
import type { InboundCommands, Logger } from './ports.ts';
import type { Inbound } from './slack-request.ts';

export interface Intake {
  readonly accept: InboundCommands['accept'];
  readonly log: Logger;
  /** How long storing may take before Slack is told that the outcome is not known. */
  readonly deadline?: Millis;
}

/** `not known`: it may have been taken down. */
export type Taken = 'new' | 'repeated' | 'not known';

/** Slack shows an error after 3 s; people begin to click again after one. */
const DEADLINE: Millis = 800;

const WORDS: Readonly<Record<Taken, string>> = {
  new: 'On it. The answer follows here.',
  repeated: 'This was taken down already. The answer follows here.',
  'not known':
    'The database does not answer in time, so I cannot say whether this was taken down. If no answer follows here within a minute, look at the rollout before you ask again.',
};

/** What the person who typed a command reads first; nobody else sees it. */
export const receipt = (taken: Taken) => ({ response_type: 'ephemeral', text: WORDS[taken] }) as const;

/** Never later than the deadline, and never an error: a command that comes down late is still carried out. */
export async function takeDown(
  { accept, log, deadline = DEADLINE }: Intake,
  { id, kind, payload }: Inbound,
): Promise<Taken> {
  const stored = accept(id, kind, payload).then(
    (fresh): Taken => (fresh ? 'new' : 'repeated'),
    (error: unknown): Taken => {
      log.error({ error: String(error), kind }, 'a command from Slack could not be stored');
      return 'not known';
    },
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Taken>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ deadline, kind }, 'storing a command from Slack takes too long; answered without knowing');
      resolve('not known');
    }, deadline);
  });
  const taken = await Promise.race([stored, late]);
  clearTimeout(timer);
  return taken;
}
