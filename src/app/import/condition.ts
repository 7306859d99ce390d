/**
 * What a condition on a measurement means: for which numbers it holds, and whether it holds where there is no number.
 * The answer of a query is taken as one number: a plan asks for one series.
 */
import type { Expression, Operator } from './expression.ts';
import { NotUnderstood, parseExpression } from './expression.ts';
import type { Ranges } from './ranges.ts';
import { ALL, above, below, both, complement, either, exactly, NONE } from './ranges.ts';

export interface Condition {
  /** Numbers for which it is true. */
  readonly numbers: Ranges;
  /** Is it true of an answer without a series, and of "not a number"? An error is not. */
  readonly empty: boolean;
  readonly nan: boolean;
}

/** null-free: either the meaning, or why there is none here. */
export function readCondition(
  text: string,
): { readonly ok: true; readonly condition: Condition } | { readonly ok: false; readonly why: string } {
  try {
    const tree = parseExpression(text);
    const numbers = truthOf(tree, 'number');
    return { ok: true, condition: { numbers, empty: heldIn(tree, 'empty'), nan: heldIn(tree, 'nan') } };
  } catch (error) {
    if (error instanceof NotUnderstood) return { ok: false, why: error.message };
    throw error;
  }
}

/** What the query may have answered. */
type World = 'number' | 'empty' | 'nan';

/** slope * answer + start. */
interface Linear {
  readonly slope: number;
  readonly start: number;
}

/** The evaluation would end in an error there: that is no pass, and no failure either. */
class Fails extends Error {}

function heldIn(tree: Expression, world: 'empty' | 'nan'): boolean {
  try {
    return truthOf(tree, world).length > 0;
  } catch (error) {
    if (error instanceof Fails) return false;
    throw error;
  }
}

/** The numbers for which it is true; in the other worlds all or none. */
function truthOf(tree: Expression, world: World): Ranges {
  switch (tree.kind) {
    case 'truth':
      return tree.value ? ALL : NONE;
    case 'not':
      return complement(truthOf(tree.of, world));
    case 'operation':
      return operation(tree.operator, tree.left, tree.right, world);
    case 'call':
      return predicate(tree.name, tree.args, world);
    default:
      throw new NotUnderstood('it is not a comparison');
  }
}

function operation(operator: Operator, left: Expression, right: Expression, world: World): Ranges {
  if (operator === 'and') {
    const first = truthOf(left, world);
    // The second half is not looked at where the first has decided, and so cannot fail there.
    return first.length === 0 ? NONE : both(first, truthOf(right, world));
  }
  if (operator === 'or') {
    const first = truthOf(left, world);
    return world !== 'number' && first.length > 0 ? ALL : either(first, truthOf(right, world));
  }
  if (operator === '+' || operator === '-' || operator === '*' || operator === '/')
    throw new NotUnderstood('a sum is no condition');
  return compare(operator, numberOf(left, world), numberOf(right, world), world);
}

function compare(operator: Operator, a: Linear, b: Linear, world: World): Ranges {
  const slope = a.slope - b.slope;
  const rest = b.start - a.start;
  if (slope === 0) return holds(operator, a.start, b.start) ? ALL : NONE;
  if (world === 'nan') return operator === '!=' ? ALL : NONE;
  const limit = tidy(rest / slope);
  const falling = slope < 0;
  switch (operator) {
    case '<':
    case '<=':
      return falling ? above(limit, operator === '<=') : below(limit, operator === '<=');
    case '>':
    case '>=':
      return falling ? below(limit, operator === '>=') : above(limit, operator === '>=');
    case '==':
      return exactly(limit);
    case '!=':
      return complement(exactly(limit));
    default:
      throw new NotUnderstood(`${operator} is no comparison`);
  }
}

/** 0.1 + 0.2 is meant as 0.3. */
export const tidy = (value: number): number => Number(value.toPrecision(12));

function holds(operator: Operator, a: number, b: number): boolean {
  switch (operator) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '==':
      return a === b;
    default:
      return a !== b;
  }
}

function predicate(name: string, args: readonly Expression[], world: World): Ranges {
  const [first, second] = args;
  if (first === undefined) throw new NotUnderstood(`${name}() wants an argument`);
  switch (name) {
    case 'isNaN':
      return numberOf(first, world).slope !== 0 && world === 'nan' ? ALL : NONE;
    case 'isInf':
      numberOf(first, world);
      return NONE;
    case 'isNil':
      return world === 'empty' ? ALL : NONE;
    case 'all':
    case 'any':
    case 'none':
    case 'one': {
      if (second === undefined) throw new NotUnderstood(`${name}() wants a condition`);
      if (world === 'empty') return name === 'all' || name === 'none' ? ALL : NONE;
      numberOf(first, world);
      const held = truthOf(second, world);
      return name === 'none' ? complement(held) : held;
    }
    default:
      throw new NotUnderstood(`the function ${name}() is not known here`);
  }
}

const THE_NUMBER: Linear = { slope: 1, start: 0 };
const constant = (start: number): Linear => ({ slope: 0, start });

function numberOf(tree: Expression, world: World): Linear {
  switch (tree.kind) {
    case 'number':
      return constant(tree.value);
    case 'minus':
      return scaled(numberOf(tree.of, world), -1);
    case 'name':
      if (tree.name !== 'result' && tree.name !== '#')
        throw new NotUnderstood(`the name ${tree.name} is not known here`);
      return answered(world);
    case 'index':
      if (tree.of.kind === 'name' && tree.of.name !== 'result') return numberOf(tree.of, world);
      if (tree.of.kind !== 'name' || tree.at.kind !== 'number' || tree.at.value !== 0)
        throw new NotUnderstood('of a result only its one value is known: result or result[0]');
      return answered(world);
    case 'call':
      return called(tree.name, tree.args, world);
    case 'operation':
      return arithmetic(tree.operator, numberOf(tree.left, world), numberOf(tree.right, world));
    case 'member':
      throw new NotUnderstood(`the answer is a number: it has no ${tree.name}`);
    default:
      throw new NotUnderstood('it compares with something that is no number');
  }
}

function answered(world: World): Linear {
  if (world === 'empty') throw new Fails();
  return THE_NUMBER;
}

function called(name: string, args: readonly Expression[], world: World): Linear {
  const [first, second] = args;
  if (first === undefined) throw new NotUnderstood(`${name}() wants an argument`);
  switch (name) {
    case 'len':
      if (first.kind !== 'name' || first.name !== 'result') throw new NotUnderstood('len() is known of result only');
      return constant(world === 'empty' ? 0 : 1);
    case 'default':
      if (second === undefined) throw new NotUnderstood('default() wants two arguments');
      return numberOf(world === 'empty' ? second : first, world);
    // Of one series they are all the same.
    case 'max':
    case 'min':
    case 'sum':
    case 'mean':
    case 'median':
    case 'first':
    case 'last':
    case 'asFloat':
    case 'float':
      return numberOf(first, world);
    default:
      throw new NotUnderstood(`the function ${name}() is not known here`);
  }
}

const scaled = ({ slope, start }: Linear, by: number): Linear => ({ slope: slope * by, start: start * by });

function arithmetic(operator: Operator, a: Linear, b: Linear): Linear {
  switch (operator) {
    case '+':
      return { slope: a.slope + b.slope, start: a.start + b.start };
    case '-':
      return { slope: a.slope - b.slope, start: a.start - b.start };
    case '*':
      if (a.slope === 0) return scaled(b, a.start);
      if (b.slope === 0) return scaled(a, b.start);
      throw new NotUnderstood('it multiplies the result with itself');
    case '/':
      if (b.slope === 0 && b.start !== 0) return scaled(a, 1 / b.start);
      throw new NotUnderstood('it divides by the result');
    default:
      throw new NotUnderstood('it compares with a comparison');
  }
}
