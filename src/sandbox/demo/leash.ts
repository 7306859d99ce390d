/**
 * Preloaded into child processes (`node --import`): when the parent is gone, however it went, standard input ends, and
 * the child ends itself as if it had been asked to.
 */
const LAST_WARNING = 10_000;

process.stdin.resume();
process.stdin.once('close', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.exit(1), LAST_WARNING).unref();
});
