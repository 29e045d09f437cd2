/** The colours of the canvas, read from the stylesheet so that light and dark are decided in one place. */

export interface Theme {
  readonly sea: string;
  readonly grid: string;
  readonly gridStrong: string;
  readonly text: string;
  readonly halo: string;
  readonly muted: string;
  readonly fenceLine: string;
  readonly fenceFill: string;
  readonly moving: string;
  readonly stopped: string;
  readonly alert: string;
  readonly silent: string;
  readonly outline: string;
  readonly accent: string;
  readonly font: string;
}

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    sea: colour('map-ground'),
    grid: colour('map-grid'),
    gridStrong: colour('map-grid-strong'),
    text: colour('text'),
    halo: colour('map-halo'),
    muted: colour('muted'),
    fenceLine: colour('fence-line'),
    fenceFill: colour('fence-fill'),
    moving: colour('moving'),
    stopped: colour('stopped'),
    alert: colour('alert'),
    silent: colour('silent'),
    outline: colour('map-outline'),
    accent: colour('accent'),
    font: style.fontFamily || 'sans-serif',
  };
}
