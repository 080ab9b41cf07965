/** Shapes beside words: a state is never told by colour alone. */
import { svg } from './element.ts';

const shapes = {
  planned: 'M8 3.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Z',
  waiting: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  running: 'M5 3.5v9l7.5-4.5Z',
  paused: 'M5.5 3.5v9M10.5 3.5v9',
  completed: 'm3 8.5 3.5 3.5L13 4.5',
  stopped: 'M4.5 4.5h7v7h-7Z',
  failed: 'm4 4 8 8M12 4l-8 8',
  warning: 'M8 2.5 14.5 13.5h-13ZM8 6.5v3M8 11.6v.01',
} as const;

export type Icon = keyof typeof shapes;

/** An icon of the size of the text around it, hidden from screen readers: the words beside it say the same. */
export function icon(name: Icon): SVGSVGElement {
  return svg(
    'svg',
    { class: 'icon', viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true' },
    svg('path', {
      d: shapes[name],
      fill: name === 'running' || name === 'stopped' ? 'currentColor' : 'none',
      stroke: 'currentColor',
      'stroke-width': name === 'waiting' ? 2.6 : 2,
      'stroke-linecap': 'round',
      'stroke-linejoin': 'round',
    }),
  );
}
