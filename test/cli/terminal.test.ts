/** In a real terminal, made by `script` of util-linux. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { drive, environment, MAIN, SHORT, started, type World, world } from './support.ts';

const hasScript = (() => {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
})();

interface Typed {
  readonly code: number | null;
  readonly text: string;
}

async function inTerminal(
  w: World,
  args: readonly string[],
  {
    columns = 80,
    rows = 24,
    env = {},
    meanwhile,
  }: {
    columns?: number;
    rows?: number;
    env?: Record<string, string>;
    meanwhile: (said: (words: string) => Promise<void>, pid: () => number) => Promise<void>;
  },
): Promise<Typed> {
  const command = `stty cols ${columns} rows ${rows}; exec '${process.execPath}' '${MAIN}' ${args.join(' ')}`;
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
    env: { ...environment(w.url), TERM: 'xterm', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const closed = once(child, 'close', { signal: AbortSignal.timeout(20_000) });
  closed.catch(() => {});
  const said = async (words: string): Promise<void> => {
    for (const end = Date.now() + 10_000; !text.includes(words); ) {
      if (Date.now() > end) throw new Error(`never said ${words}: ${JSON.stringify(text)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  try {
    await meanwhile(said, () => child.pid ?? 0);
    const [code] = await closed;
    return { code: code as number | null, text };
  } finally {
    // Its end closes the terminal, and that ends what runs in it.
    child.kill('SIGKILL');
  }
}

const ESC = '\u001b';
const HIDE = `${ESC}[?25l`;
const SHOW = `${ESC}[?25h`;

/** What a terminal of that many columns shows of it at the end: only the movements that the picture makes are understood. */
function screenOf(text: string): string[] {
  const lines: string[] = [''];
  let row = 0;
  let column = 0;
  for (const [token] of text.matchAll(new RegExp(`${ESC}\\[[?0-9;]*[A-Za-z]|[^]`, 'gu'))) {
    const up = new RegExp(`^${ESC}\\[(\\d+)A$`).exec(token)?.[1];
    if (up !== undefined) row = Math.max(0, row - Number(up));
    else if (token === `${ESC}[J`) {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? '').slice(0, column);
    } else if (token === '\r') column = 0;
    else if (token === '\n') {
      row += 1;
      lines[row] ??= '';
    } else if (!token.startsWith(ESC)) {
      lines[row] = (lines[row] ?? '').slice(0, column) + token;
      column += 1;
    }
  }
  return lines;
}

describe.skipIf(!hasScript)('get --watch in a terminal (skipped where there is no util-linux script)', () => {
  it('redraws one tree in place, with bars, and gives the cursor back', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const { code, text } = await inTerminal(w, ['get', id, '--watch'], {
      meanwhile: async (said) => {
        await said('pending');
        await w.fake.toFirstStep(id);
        await said('50 %');
        await drive(w.fake, id);
      },
    });
    expect(code).toBe(0);
    expect(text.split(HIDE)).toHaveLength(2);
    expect(text.endsWith(SHOW)).toBe(true);
    const screen = screenOf(text);
    expect(screen.filter((line) => line.startsWith('myapp  '))).toEqual([expect.stringContaining('succeeded')]);
    expect(screen.join('\n')).toContain(`canary weight ${'█'.repeat(20)} 100 %`);
    expect(screen.join('\n')).toContain('✔ step 1');
  });

  it('keeps within the width and the height of the window, without colours where none are wanted', async () => {
    const w = await world();
    const id = await started(w.fake, {
      ...SHORT,
      labels: { image: 'registry.example.com/a/very/long/name/of/an/image:2.1' },
    });
    const { text } = await inTerminal(w, ['get', id, '--watch'], {
      columns: 40,
      rows: 8,
      env: { NO_COLOR: '1', LANG: 'C' },
      meanwhile: async (said) => {
        await said('pending');
        await drive(w.fake, id);
      },
    });
    for (const line of screenOf(text)) expect([...line].length).toBeLessThan(40);
    expect(text).not.toMatch(new RegExp(`${ESC}\\[\\d*m`));
    expect(text).toContain(`canary weight [${'#'.repeat(12)}] 100 %`);
    const frames = text.split(`\r${ESC}[J`).slice(1, -1);
    for (const frame of frames) expect(frame.split('\n').length - 1).toBeLessThan(8);
  });

  it('prints plain lines to a terminal that understands nothing else', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const { code, text } = await inTerminal(w, ['get', id, '--watch'], {
      env: { TERM: 'dumb' },
      meanwhile: async (said) => {
        await said('created by');
        await drive(w.fake, id);
      },
    });
    expect([code, text.includes(ESC)]).toEqual([0, false]);
  });

  it('shows that the server is away, and gives the cursor back when it is interrupted', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const { code, text } = await inTerminal(w, ['get', id, '--watch'], {
      meanwhile: async (said, pid) => {
        await said('pending');
        await w.down();
        await said('trying again');
        const [own = ''] = execFileSync('pgrep', ['-P', String(pid())], { encoding: 'utf8' }).split('\n');
        process.kill(Number(own), 'SIGTERM');
      },
    });
    expect(code).toBe(143);
    expect(screenOf(text).filter((line) => line.startsWith('myapp  '))).toHaveLength(1);
    expect(text.lastIndexOf(SHOW)).toBeGreaterThan(text.lastIndexOf(HIDE));
  });
});
