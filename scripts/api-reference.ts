/**
 * Writes docs/api-reference.md from the OpenAPI document: `node scripts/api-reference.ts` writes the file, `--check` says whether it
 * is as it should be. A test runs the same function, so that the page cannot say something that the server does not.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { document } from './api-reference/document.ts';
import { markdown } from './api-reference/markdown.ts';

export const REFERENCE_FILE = fileURLToPath(new URL('../docs/api-reference.md', import.meta.url));

export const referenceText = async (): Promise<string> => markdown(await document());

if (import.meta.main) {
  const wanted = await referenceText();
  if (!process.argv.includes('--check')) await writeFile(REFERENCE_FILE, wanted);
  else if ((await readFile(REFERENCE_FILE, 'utf8')) !== wanted) {
    process.stderr.write(
      'docs/api-reference.md is not what the API says of itself; run: node scripts/api-reference.ts\n',
    );
    process.exitCode = 1;
  }
}
