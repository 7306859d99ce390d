import type { Millis } from '../../domain/plan.ts';

/** `work`, or an error with `message` after `deadline`. What the late work comes to is dropped. */
export async function withDeadline<T>(work: Promise<T>, deadline: Millis, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${deadline} ms`)), deadline);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
