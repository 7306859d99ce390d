/** Which machine a number belongs to: without it the number says nothing. */
import { cpus, totalmem } from 'node:os';
import { cores } from './usage.ts';

export interface Machine {
  readonly model: string;
  readonly cores: number;
  /** Gigabytes (10^9). */
  readonly memory: number;
  readonly platform: string;
  readonly node: string;
}

export const machine = (): Machine => ({
  model: cpus()[0]?.model.trim() ?? 'unknown',
  cores,
  memory: Math.round(totalmem() / 1e8) / 10,
  platform: `${process.platform} ${process.arch}`,
  node: process.version,
});
