/** The code of each command, loaded only when it runs: a list must not wait for what lint needs. */
import type { CommandModule } from './command.ts';

export const LOADERS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  run: () => import('./commands/run.ts'),
  get: () => import('./commands/get.ts'),
  wait: () => import('./commands/wait.ts'),
  list: () => import('./commands/list.ts'),
  explain: () => import('./commands/explain.ts'),
  history: () => import('./commands/history.ts'),
  promote: () => import('./commands/promote.ts'),
  pause: () => import('./commands/pause.ts'),
  resume: () => import('./commands/resume.ts'),
  abort: () => import('./commands/abort.ts'),
  retry: () => import('./commands/retry.ts'),
  rollback: () => import('./commands/rollback.ts'),
  'plan lint': () => import('./commands/plan-lint.ts'),
  'plan dry-run': () => import('./commands/plan-dry-run.ts'),
  'plan backtest': () => import('./commands/plan-backtest.ts'),
  mesh: () => import('./commands/mesh.ts'),
  'deliveries list': () => import('./commands/deliveries-list.ts'),
  'deliveries resend': () => import('./commands/deliveries-resend.ts'),
  doctor: () => import('./commands/doctor.ts'),
  login: () => import('./commands/login.ts'),
  logout: () => import('./commands/logout.ts'),
  contexts: () => import('./commands/contexts.ts'),
  completion: () => import('./commands/completion.ts'),
  help: () => import('./commands/help.ts'),
};
