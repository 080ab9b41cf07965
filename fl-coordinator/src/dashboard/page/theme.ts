/** Dark and light: what the system prefers, unless the operator chose. */
import { h, setText } from './element.ts';

const storageKey = 'foedus-theme';
const systemPrefersDark = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function chosen(): 'light' | 'dark' | null {
  const value = localStorage.getItem(storageKey);
  return value === 'light' || value === 'dark' ? value : null;
}

function isDark(): boolean {
  return (chosen() ?? (systemPrefersDark.matches ? 'dark' : 'light')) === 'dark';
}

function apply(): void {
  const theme = chosen();
  if (theme === null) delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  for (const listener of listeners) listener();
}

/** Applies the operator's choice of an earlier visit and follows the system from now on. */
export function startTheme(): void {
  systemPrefersDark.addEventListener('change', apply);
  apply();
}

/** Calls `listener` after each change: a canvas does not follow the style sheet by itself. */
export function onThemeChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The value that a colour of the style sheet has now, as `rgb(…)`, for drawing on a canvas. */
export function colour(customProperty: string): string {
  const probe = h('span', { hidden: true });
  // A custom property itself would read as the unresolved `light-dark(…)`.
  probe.style.color = `var(${customProperty})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** The button that switches. Choosing what the system prefers anyway means following the system again. */
export function themeButton(): HTMLButtonElement {
  const button = h('button', { type: 'button', class: 'quiet' });
  const label = (): void => setText(button, isDark() ? 'Light theme' : 'Dark theme');
  button.addEventListener('click', () => {
    const next = isDark() ? 'light' : 'dark';
    if ((next === 'dark') === systemPrefersDark.matches) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, next);
    apply();
  });
  onThemeChange(label);
  label();
  return button;
}
