/** `sluice replay`: the verdicts of the comparison, computed again here from the blocks; nothing that the server says of them is believed. */
import type { Difference, Said } from '../../domain/evidence/replayed.ts';
import { heldAgainst } from '../../domain/evidence/replayed.ts';
import { plain } from '../../domain/format.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { idOf } from '../ids.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { printDocument } from '../show/data.ts';
import { recordedOf, settingsOf, wholeEvidence } from '../wire/evidence.ts';

export async function run(call: Call): Promise<Ending> {
  const id = idOf(call, ROLLOUTS);
  const api = await call.api(PATIENCE.command);
  const { setup, items } = await wholeEvidence(api, id);
  const { output, terminal } = call;
  if (setup === null || items.length === 0) {
    if (output !== null) await printDocument(terminal, output, { ...NOTHING, compared: setup !== null }, []);
    else
      terminal.line(
        setup === null
          ? `${id} has no comparison with the stable version: there is nothing to replay`
          : `no block of ${id} has been judged: there is nothing to replay yet`,
        'quiet',
      );
    return 'done';
  }
  const { blocks, finding, difference } = heldAgainst(settingsOf(setup), items.map(recordedOf));
  if (output !== null)
    await printDocument(terminal, output, { ok: difference === null, compared: true, blocks, finding, difference }, []);
  else if (difference === null) {
    terminal.line(finding.sentence);
    terminal.line(`${blocksOf(blocks)} replayed, all as recorded: ${wordsOf(finding)}`, 'good');
  } else
    for (const [index, line] of linesOf(difference).entries()) terminal.line(line, index === 0 ? 'bad' : undefined);
  return difference === null ? 'done' : 'tampered';
}

const NOTHING = { ok: true, blocks: 0, finding: null, difference: null } as const;

const blocksOf = (n: number): string => `${n} ${n === 1 ? 'block' : 'blocks'}`;

const wordsOf = ({ verdict, evidence }: Said): string => `${verdict}, evidence ${plain(evidence)}`;

const linesOf = ({ block, recorded, replayed }: Difference): readonly string[] => [
  `block ${block} does not give what was recorded`,
  `recorded  ${wordsOf(recorded)}: ${recorded.sentence}`,
  `replayed  ${wordsOf(replayed)}: ${replayed.sentence}`,
  'Either the server judged by another version of the judge than this command has (sluice doctor names both), or the blocks, the settings or the verdicts were changed since',
];
