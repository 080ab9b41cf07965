/** Looks at the document. Each function is sent to the browser by itself, so it refers to nothing outside of it. */

/** @returns the text of the element that has the keyboard's focus */
export function focusedText(): string {
  return document.activeElement?.textContent ?? '';
}

/** @returns how the element with the focus is outlined, as CSS says it */
export function focusedOutline(): string {
  return document.activeElement === null ? 'none' : getComputedStyle(document.activeElement).outlineStyle;
}

/** @returns the cookies that scripts can read */
export function readableCookies(): string {
  return document.cookie;
}

/** @returns by how many pixels the page is wider than the window */
export function overflow(): number {
  return Math.max(0, document.documentElement.scrollWidth - innerWidth);
}

export function background(): string {
  return getComputedStyle(document.body).backgroundColor;
}

/** @returns what is wrong, in words; empty when nothing is. */
export function structureProblems(): string[] {
  const problems: string[] = [];
  const visible = (element: Element): boolean => element.checkVisibility();
  const nameOf = (element: Element): string => {
    const labelled = (element.getAttribute('aria-labelledby') ?? '').split(/\s+/).filter((id) => id !== '');
    const words = labelled.map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
    const label = element instanceof HTMLInputElement ? (element.labels?.[0]?.textContent ?? '') : '';
    return (element.getAttribute('aria-label') ?? (words || label || element.textContent || '')).trim();
  };
  const describe = (element: Element): string => element.outerHTML.slice(0, 120);
  for (const element of document.querySelectorAll('button, a, input, dialog, section, nav, progress, [role=region]')) {
    if (visible(element) && nameOf(element) === '') problems.push(`without a name: ${describe(element)}`);
  }
  for (const element of document.querySelectorAll('[onclick], [role=button]')) {
    problems.push(`no real button: ${describe(element)}`);
  }
  for (const element of document.querySelectorAll('[tabindex]')) {
    if (Number(element.getAttribute('tabindex')) > 0) problems.push(`changes the order of focus: ${describe(element)}`);
  }
  for (const table of document.querySelectorAll('table')) {
    if (!visible(table)) continue;
    if (table.querySelector('th[scope=col]') === null) problems.push(`table without headers: ${describe(table)}`);
    if ((table.caption?.textContent ?? '') === '') problems.push(`table without a caption: ${describe(table)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`id used twice: ${id}`);
  if (document.querySelectorAll('h1').length !== 1) problems.push('not exactly one h1');
  if (document.querySelectorAll('main').length !== 1) problems.push('not exactly one main');
  if (document.querySelector('[aria-live]') === null) problems.push('nothing speaks of changes');
  if (document.documentElement.lang === '') problems.push('no language');
  return problems;
}

/**
 * Contrast of visible texts with what is painted behind them (WCAG 2.2, 1.4.3).
 *
 * @returns texts below 4.5:1 with their ratio, and the number of texts that were looked at
 */
export function contrastProblems(): { readonly checked: number; readonly low: string[] } {
  const channels = (colour: string): number[] => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const linear = (value: number): number =>
    value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r = 0, g = 0, b = 0]: number[]): number =>
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const backgroundOf = (element: Element | null): number[] => {
    for (let one = element; one !== null; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if ((colour[3] ?? 1) === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low: string[] = [];
  let checked = 0;
  for (const element of document.querySelectorAll('body *')) {
    const hasText = [...element.childNodes].some(
      (node) => node.nodeType === 3 && (node.textContent ?? '').trim() !== '',
    );
    const unavailable = element.closest('[aria-disabled], :disabled') !== null;
    const hidden = !element.checkVisibility() || element.closest('.for-screen-readers, svg, canvas') !== null;
    if (!hasText || unavailable || hidden) continue;
    checked += 1;
    const pair = [luminance(channels(getComputedStyle(element).color)), luminance(backgroundOf(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)}: ${element.textContent.trim().slice(0, 60)}`);
  }
  return { checked, low };
}
