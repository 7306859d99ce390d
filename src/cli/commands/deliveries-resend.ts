/** `sluice deliveries resend`. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { printDocument } from '../show/data.ts';

export async function run(call: Call): Promise<Ending> {
  const api = await call.api(PATIENCE.look);
  const delivery = await api.resend(call.args[0] ?? '');
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, delivery, [delivery.id]);
  else terminal.note(`${delivery.id} is sent again: ${delivery.event.message}`);
  return 'done';
}
