/** One question to the sandbox's Prometheus, about now. */
import type { Sandbox } from '../../src/sandbox/sandbox.ts';

/** Value of the first series; null: there is none. */
export async function query({ prometheusUrl }: Pick<Sandbox, 'prometheusUrl'>, text: string): Promise<number | null> {
  const response = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(text)}`);
  const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
  const [first] = data.result;
  return first === undefined ? null : Number(first.value[1]);
}
