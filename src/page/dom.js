/**
 * Elements without a framework: views are functions from data to a tree, and `morph` makes the tree on screen equal to it
 * while focus, open details and what was typed stay. Text only ever becomes a text node: nothing is parsed as HTML.
 */

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {Attributes} [attributes] false, null and undefined: absent; true: present without a value
 * @param {Child[]} children
 * @returns {HTMLElement}
 */
export const h = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/**
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {Child[]} children
 * @returns {SVGElement}
 */
export const s = (tag, attributes = {}, ...children) =>
  filled(/** @type {SVGElement} */ (document.createElementNS(SVG, tag)), attributes, children);

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? '' : String(value));
  add(element, children);
  return element;
}

/** @param {Element} element @param {Child[]} children */
function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Fills `root` with these children, changing only what is different.
 * @param {Element} root
 * @param {Child[]} children
 */
export function render(root, ...children) {
  const focused = document.activeElement;
  const next = /** @type {Element} */ (root.cloneNode(false));
  add(next, children);
  morphChildren(root, next);
  // A node that was moved loses the focus.
  if (focused instanceof HTMLElement && focused !== document.activeElement && root.contains(focused)) focused.focus();
}

/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute('data-key') : null);

/**
 * @param {ChildNode} old
 * @param {Node} next
 */
function morph(old, next) {
  if (old.nodeName !== next.nodeName || keyOf(old) !== keyOf(next)) return old.replaceWith(next);
  if (!(old instanceof Element) || !(next instanceof Element)) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && !people(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes)
    if (old.getAttribute(name) !== value && !people(name)) old.setAttribute(name, value);
  morphChildren(old, next);
}

/** What people have opened stays open. @param {string} name */
const people = (name) => name === 'open';

/**
 * Children of one parent all have a key, or none has.
 * @param {Element} old
 * @param {Element} next
 */
function morphChildren(old, next) {
  /** @type {Map<string, Element>} */
  const keyed = new Map();
  for (const child of old.children) {
    const key = keyOf(child);
    if (key !== null) keyed.set(key, child);
  }
  let at = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = keyOf(wanted);
    const match = key === null ? at : (keyed.get(key) ?? null);
    if (match === null) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    morph(/** @type {ChildNode} */ (match), wanted);
  }
  while (at !== null) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** Text for those who do not see the page. @param {string} text */
export const hidden = (text) => h('span', { class: 'unseen' }, text);
