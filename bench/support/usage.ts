/** What processes use, by the kernel's own account (/proc): processor time and memory of a process and its children. */
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

export interface Usage {
  /** Seconds of processor time since its start. */
  readonly cpu: number;
  /** Megabytes (10^6) of resident memory, shared pages counted once per process. */
  readonly rss: number;
}

/** Ticks per second of /proc: 100 on every Linux that Node runs on. */
const HERTZ = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended. */
  readonly inherited: number;
}

/** null: it has ended meanwhile. */
async function stat(pid: number): Promise<Stat | null> {
  const text = await readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name in parentheses may hold blanks; the numbers follow its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (index: number): number => Number(fields[index]);
  return { pid, parent: at(1), own: at(11) + at(12), inherited: at(13) + at(14) };
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Of a process and all below it. Throws where there is no /proc (macOS): the benchmarks need Linux. */
export async function usageOf(root: number): Promise<Usage> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = (await Promise.all(pids.map(stat))).filter((found) => found !== null);
  const tree = new Set([root]);
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const { pid, parent } of all) if (tree.has(parent)) tree.add(pid);
  }
  const own = all.filter(({ pid }) => tree.has(pid));
  const ticks = own.reduce((sum, { own: mine, inherited }) => sum + mine + inherited, 0);
  const memory = await Promise.all(own.map(({ pid }) => rssOf(pid)));
  return { cpu: ticks / HERTZ, rss: memory.reduce((sum, mb) => sum + mb, 0) };
}

async function rssOf(pid: number): Promise<number> {
  const text = await readOrNull(`/proc/${pid}/status`);
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(text ?? '')?.[1] ?? 0) * 1024) / 1e6;
}

/** Seconds of processor time that the whole machine has spent so far, idle left out. */
export async function machineBusy(): Promise<number> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / HERTZ;
}

export const cores = availableParallelism();
