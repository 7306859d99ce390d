/** One step of an installation: what to run, and how to see that it worked. */
export interface InstallStep {
  readonly title: string;
  /** Lines for a shell, in order. */
  readonly commands: readonly string[];
  /** Commands that write nothing and end with an error, or show it, where the step did not work; empty: the next step does. */
  readonly verifies: readonly string[];
  /** What to know: traps, what is gone, what takes its place. null: nothing. */
  readonly note: string | null;
}

export const step = (
  title: string,
  commands: readonly string[],
  verifies: readonly string[] = [],
  note: string | null = null,
): InstallStep => ({ title, commands, verifies, note });
