/**
 * Building the page from nodes and text only. Titles, reasons and ids come from partners: they reach the document as
 * text and attribute values, never as markup.
 */
type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | null>>;

// Control characters, zero-width and direction-changing ones: they could make one participant's id look like another's.
const deceptive = /(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** @returns the text with characters that change how other characters are shown replaced by a visible mark. */
export function visible(text: string): string {
  return text.replace(deceptive, '\uFFFD');
}

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  for (const child of children) {
    if (child !== null) element.append(typeof child === 'string' ? visible(child) : child);
  }
}

/** An HTML element with attributes (true: present without value; false, null: absent) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/** The same for SVG, for icons and legend swatches. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  fill(element, attributes, children);
  return element;
}

/** Sets the text of an element if it is another one: a live region then speaks only of changes. */
export function setText(element: Element, text: string): void {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** Sets an attribute if its value is another one; false and null remove it. */
export function setAttribute(element: Element, name: string, value: string | number | boolean | null): void {
  if (value === null || value === false) element.removeAttribute(name);
  else {
    const text = value === true ? '' : visible(String(value));
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** A piece of the page that is built once and shows whatever it is updated with. */
export interface Part<T> {
  readonly element: HTMLElement;
  update(value: T): void;
}

/**
 * The children of `parent`, one for each item, in the items' order. An item that stays keeps its element, so focus,
 * scroll position and text selection survive updates.
 */
export function list<T>(
  parent: Element,
  keyOf: (item: T) => string,
  create: (item: T) => Part<T>,
): (items: readonly T[]) => void {
  const parts = new Map<string, Part<T>>();
  return (items) => {
    const keys = new Set(items.map(keyOf));
    for (const [key, part] of parts) {
      if (keys.has(key)) continue;
      part.element.remove();
      parts.delete(key);
    }
    for (const [index, item] of items.entries()) {
      const key = keyOf(item);
      let part = parts.get(key);
      if (part === undefined) parts.set(key, (part = create(item)));
      part.update(item);
      const present = parent.children[index];
      if (present !== part.element) parent.insertBefore(part.element, present ?? null);
    }
  };
}

/** A panel of the session: a section with a heading. */
export function panel(title: string, className: string, ...children: Child[]): HTMLElement {
  const id = `${className}-heading`;
  return h('section', { class: `panel ${className}`, 'aria-labelledby': id }, h('h2', { id }, title), ...children);
}
