/** One line that is not shown while it is typed; from a pipe, what comes. */

import { Failure } from './failure.ts';
import type { Terminal } from './show/terminal.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES = ['\u007f', '\b'];

export async function askSecret(terminal: Terminal, question: string): Promise<string> {
  const { stdin, stderr } = process;
  if (stdin.isTTY !== true) {
    const chunks: Buffer[] = [];
    for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Buffer));
    return Buffer.concat(chunks).toString('utf8');
  }
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  try {
    let typed = '';
    for await (const chunk of stdin) {
      for (const char of String(chunk)) {
        if (char === CTRL_C) throw new Failure('interrupted', 'interrupted; nothing was stored');
        if (char === '\r' || char === '\n' || char === CTRL_D) return typed;
        typed = BACKSPACES.includes(char) ? typed.slice(0, -1) : typed + char;
      }
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    terminal.note('');
  }
}
