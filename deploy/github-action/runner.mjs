/** What a runner of GitHub Actions hears and gives: inputs, outputs, the job's summary, annotations, masks. */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** The runner keeps the dashes of a name and writes it in capitals. */
export const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] ?? '').trim();

/** One of these; `wrong` is told what was found where it is none of them. */
export function choice(name, known, wrong) {
  const value = input(name) || known[0];
  return known.includes(value) ? value : wrong(`${name}: wanted ${known.join(' or ')}; found ${JSON.stringify(value)}`);
}

/** With a delimiter that no value can guess: values are words of others. */
export function output(name, value) {
  const file = process.env.GITHUB_OUTPUT;
  if (file === undefined || file === '') return;
  const end = `end-${randomUUID()}`;
  appendFileSync(file, `${name}<<${end}\n${value}\n${end}\n`);
}

export function summary(markdown) {
  const file = process.env.GITHUB_STEP_SUMMARY;
  if (file !== undefined && file !== '') appendFileSync(file, `${markdown}\n`);
}

const escaped = (text) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text) => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** @param {'error' | 'warning' | 'notice'} level */
export const annotate = (level, title, text) => say(`::${level} title=${property(title)}::${escaped(text)}`);
export const mask = (secret) => say(`::add-mask::${escaped(secret)}`);
export const say = (line) => void process.stdout.write(`${line}\n`);

/** What is printed between these two is not read as a command of the runner, whatever it looks like. */
export function quoting() {
  const word = randomUUID();
  say(`::stop-commands::${word}`);
  return () => say(`::${word}::`);
}
