/** What the judges are called on the results page, and their colours (Okabe and Ito's, told apart by most eyes). */

export const NAMES: Readonly<Record<string, string>> = {
  sluice: '**Sluice**',
  'sluice-robust': 'robust',
  'sluice-independent': 'independent',
  'sluice-ungrouped': 'Sluice, one group',
  'sluice-robust-ungrouped': 'robust, one group',
  flagger: 'Flagger',
  'flagger-tuned': 'Flagger tuned',
  'argo-docs': 'Argo docs',
  'argo-1m': 'Argo 1 m',
  kayenta: 'Kayenta',
};

export const COLOURS: Readonly<Record<string, string>> = {
  sluice: '#0072b2',
  'sluice-robust': '#56b4e9',
  flagger: '#d55e00',
  'argo-1m': '#cc79a7',
  kayenta: '#009e73',
};

export const plain = (judge: string): string => (NAMES[judge] ?? judge).replaceAll('*', '');
