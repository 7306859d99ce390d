// Before the first paint: whoever chose a theme must not see the other one flash by. Not a module: those wait for the page.
{
  const chosen = localStorage.getItem('sluice-theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset['theme'] = chosen;
}
