/** `sluice audit verify`: computes the chain again from the rows themselves; nothing that the server says of them is believed. */
import type { Broken, Head } from '../../app/audit/chain.ts';
import { BEFORE_ALL, cutOff, follow, isBroken, unlike } from '../../app/audit/chain.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure, usage } from '../failure.ts';
import { printDocument } from '../show/data.ts';
import { wholeChain } from '../wire/audit.ts';

export async function run(call: Call): Promise<Ending> {
  const kept = keptHead(call.text('expect-head'));
  const { head, broken } = await walked(call, kept);
  // Not a pass: of an empty table nobody can tell whether it was always empty.
  if (head.seq === 0 && broken === null)
    throw new Failure(
      'error',
      'the audit has no row: either nothing was done since it began, or all of it was cut off',
    );
  const { output, terminal } = call;
  if (output !== null) {
    const document = { ok: broken === null, rows: head.seq, head: words(head), ...(broken ?? { broken: null }) };
    await printDocument(terminal, output, document, [words(head)]);
  } else if (broken === null) {
    terminal.line(`ok: ${head.seq} rows, each follows from the one before`);
    terminal.line(`head ${words(head)}`);
    if (kept === null)
      terminal.note('keep the head elsewhere: --expect-head tells next time that nothing was cut off', 'quiet');
  }
  if (broken === null) return 'done';
  if (output === null) terminal.line(`broken at row ${broken.broken}: ${broken.message}`, 'bad');
  return 'tampered';
}

interface Walked {
  /** The last row that is sound. */
  readonly head: Head;
  readonly broken: Broken | null;
}

async function walked(call: Call, kept: Head | null): Promise<Walked> {
  let head = BEFORE_ALL;
  for await (const row of wholeChain(await call.api(PATIENCE.command))) {
    const next = follow(head, row);
    if (isBroken(next)) return { head, broken: next };
    const other = kept === null ? null : unlike(kept, next);
    if (other !== null) return { head, broken: other };
    head = next;
  }
  return { head, broken: kept === null ? null : cutOff(kept, head) };
}

const words = ({ seq, hash }: Head): string => `${seq}:${hash}`;

function keptHead(text: string | undefined): Head | null {
  if (text === undefined) return null;
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined)
    throw usage(
      `--expect-head: wanted the head of an earlier verify, like 42:9f86d0...; found ${JSON.stringify(text)}`,
    );
  return { seq: Number(seq), hash };
}
