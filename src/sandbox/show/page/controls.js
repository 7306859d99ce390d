/** The buttons and sliders: what they send, and how they show what is. */

/** @typedef {import('./types.d.ts').ActName} ActName */
/** @typedef {import('./types.d.ts').State} State */

const HEALTHY = { errors: 0, latency: 20 };

/** @template {Element} E @param {string} id @param {new () => E} kind @returns {E} */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`);
  return found;
}

/** Carries it out; the words of a refusal, or null. @param {ActName} act @param {object} body */
async function send(act, body) {
  try {
    const response = await fetch(`/acts/${act}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.ok ? null : String((await response.json()).error);
  } catch {
    return 'the sandbox does not answer; has the demo ended?';
  }
}

/** @param {(act: ActName, refusal: string | null) => void} answered */
export function controls(answered) {
  const [errors, latency, weight] = /** @type {const} */ (['errors', 'latency', 'weight']).map((id) =>
    element(id, HTMLInputElement),
  );
  if (errors === undefined || latency === undefined || weight === undefined) throw new Error('the page has no sliders');
  const prometheus = element('prometheus', HTMLButtonElement);
  /** @type {State | null} */
  let state = null;

  /** @param {ActName} act @param {object} body */
  const perform = async (act, body) => answered(act, await send(act, body));
  const words = () => {
    element('errors-now', HTMLOutputElement).value = `${errors.value} %`;
    element('latency-now', HTMLOutputElement).value = `${latency.value} ms`;
    errors.setAttribute('aria-valuetext', `${errors.value} percent`);
    latency.setAttribute('aria-valuetext', `${latency.value} milliseconds`);
  };
  const setCanary = () =>
    perform('canary', { errorRate: errors.valueAsNumber / 100, latencyMs: latency.valueAsNumber });

  for (const slider of [errors, latency]) {
    slider.addEventListener('input', words);
    slider.addEventListener('change', () => void setCanary());
  }
  element('heal', HTMLButtonElement).addEventListener('click', () => {
    [errors.valueAsNumber, latency.valueAsNumber] = [HEALTHY.errors, HEALTHY.latency];
    words();
    void setCanary();
  });
  for (const button of document.querySelectorAll('button[data-send]')) {
    const act = /** @type {ActName} */ (button.closest('[data-act]')?.getAttribute('data-act'));
    const body = JSON.parse(button.getAttribute('data-send') ?? '{}');
    button.addEventListener('click', () => void perform(act, body));
  }
  prometheus.addEventListener('click', () => void perform('prometheus', { answers: state?.prometheus === 'hangs' }));
  element('edit', HTMLButtonElement).addEventListener('click', () => {
    if (weight.reportValidity()) void perform('route', { weight: weight.valueAsNumber });
  });

  /** @param {State} next */
  return (next) => {
    const before = state;
    state = next;
    for (const control of document.querySelectorAll('.act button, .act input'))
      control.toggleAttribute('disabled', next.busy !== null);
    prometheus.textContent = next.prometheus === 'hangs' ? 'Let Prometheus go on' : 'Stop Prometheus';
    // What was changed elsewhere, and nothing under somebody's hand.
    if (before?.canary.errorRate !== next.canary.errorRate)
      errors.value = String(Math.round(next.canary.errorRate * 100));
    if (before?.canary.latencyMs !== next.canary.latencyMs) latency.value = String(next.canary.latencyMs);
    words();
  };
}
