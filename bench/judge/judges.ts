/** Every judge in the benchmark. */
import { argoDocs, argoMinute } from './argo.ts';
import { flagger, flaggerTuned } from './flagger.ts';
import type { Judge } from './judge.ts';
import { kayenta } from './kayenta.ts';
import { calibrated, calibratedUngrouped, independent, robust, robustUngrouped } from './ours.ts';

export const JUDGES: readonly Judge[] = [
  calibrated,
  robust,
  independent,
  calibratedUngrouped,
  robustUngrouped,
  flagger,
  flaggerTuned,
  argoDocs,
  argoMinute,
  kayenta,
];
