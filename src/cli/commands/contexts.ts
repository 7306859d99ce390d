/** `sluice contexts [NAME]`. Tokens are never shown. */
import type { Call } from '../command.ts';
import { writeConfigFile } from '../config-file.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { configPath, localTime, readConfigFile } from '../settings.ts';
import { printDocument } from '../show/data.ts';
import { table } from '../show/line.ts';

export async function run(call: Call): Promise<Ending> {
  const path = configPath(call.env);
  const file = await readConfigFile(path);
  const names = Object.keys(file.contexts);
  const [wanted] = call.args;
  const { output, terminal } = call;
  if (wanted !== undefined) {
    if (!names.includes(wanted))
      throw usage(`contexts: ${path} has no context ${JSON.stringify(wanted)}; known: ${names.join(', ') || 'none'}`);
    writeConfigFile(path, { ...file, current: wanted });
    terminal.note(`${wanted} is the current context`);
    return 'done';
  }
  const items = names.map((name) => ({
    name,
    url: file.contexts[name]?.url ?? '',
    current: name === file.current,
    expiresAt: file.contexts[name]?.expiresAt ?? null,
  }));
  if (output !== null) await printDocument(terminal, output, { items }, names);
  else if (items.length === 0) terminal.note(`no contexts in ${path}; sluice login makes one`, 'quiet');
  else
    for (const line of table([
      ['', 'NAME', 'URL', 'SIGNED IN UNTIL'],
      ...items.map(({ name, url, current, expiresAt }) => [
        current ? '*' : ' ',
        name,
        url,
        expiresAt === null ? '' : untilWords(expiresAt),
      ]),
    ]))
      terminal.line(line);
  return 'done';
}

const untilWords = (expiresAt: string): string =>
  Date.parse(expiresAt) > Date.now() ? localTime(expiresAt) : `ended at ${localTime(expiresAt)}`;
