/** A list of the API that only grows: read page by page, then only its last page again. */
import { get } from './api.js';

const LIMIT = 200;
/** 10,000 entries: beyond that a page in a browser is the wrong tool. */
const MOST_PAGES = 50;

/**
 * @template T
 * @param {string} path
 * @param {AbortSignal} leaving
 * @returns {{ readonly items: readonly T[], readonly cut: boolean, readonly head: any, more(): Promise<boolean> }} head: the last page that was read, with what else it says; more: true where something new came
 */
export function pager(path, leaving) {
  /** @type {T[]} */
  const done = [];
  /** @type {T[]} */
  let open = [];
  /** @type {string | null} */
  let cursor = null;
  /** @type {any} */
  let head = null;
  let pages = 1;
  let cut = false;
  /** @type {Promise<boolean> | null} */
  let under = null;

  const read = async () => {
    const before = done.length + open.length;
    for (;;) {
      const from = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await get(`${path}?limit=${LIMIT}${from}`, leaving);
      open = page.items;
      head = page;
      if (page.nextCursor === null) break;
      if (pages >= MOST_PAGES) {
        cut = true;
        break;
      }
      pages += 1;
      done.push(...open);
      open = [];
      cursor = page.nextCursor;
    }
    return done.length + open.length > before;
  };
  return {
    get items() {
      return [...done, ...open];
    },
    get head() {
      return head;
    },
    get cut() {
      return cut;
    },
    more() {
      under ??= read().finally(() => {
        under = null;
      });
      return under;
    },
  };
}
