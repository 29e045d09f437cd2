/** The card of the selected vehicle, and the short one beside the pointer. Knows how a vehicle reads; holds no state of its own. */
import { byId, make } from './dom.ts';
import { stateOf, type Vehicle, type VehicleState } from './fleet.ts';
import { ageText, coordinatesText, headingText, speedText, temperatureText } from './format.ts';

export const STATE_TEXT: Record<VehicleState, string> = {
  moving: 'Moving',
  stopped: 'Stopped',
  alert: 'Alert',
  silent: 'No recent fix',
};

const TIP_GAP_PX = 16;

const card = byId('card', HTMLElement);
const title = byId('card-title', HTMLHeadingElement);
const badge = byId('card-state', HTMLElement);
const facts = byId('card-facts', HTMLElement);
const tip = byId('tip', HTMLElement);

/** Shows a vehicle in the side panel; null hides the card. */
export function showCard(vehicle: Vehicle | null, wallMs: number): void {
  card.hidden = vehicle === null;
  if (vehicle === null) return;
  const { position } = vehicle;
  title.textContent = position.unit_number;
  const state = stateOf(vehicle, wallMs);
  badge.textContent = STATE_TEXT[state];
  badge.className = `badge ${state}`;
  facts.replaceChildren(
    ...fact('Speed', speedText(position.speed)),
    ...fact('Heading', headingText(position.heading_deg)),
    ...fact('Temperature', temperatureText(position.temperature)),
    ...fact('Ignition', position.ignition === null ? '–' : position.ignition ? 'On' : 'Off'),
    ...fact('Last fix', agoText(wallMs - vehicle.fixMs), new Date(vehicle.fixMs).toLocaleString()),
    ...fact('Position', coordinatesText(position.latitude, position.longitude)),
  );
}

/** Shows a vehicle beside the pointer; null hides it. */
export function showTip(vehicle: Vehicle | null, xPx: number, yPx: number, wallMs: number): void {
  tip.hidden = vehicle === null;
  if (vehicle === null) return;
  const { position } = vehicle;
  const parts = [speedText(position.speed)];
  if (position.temperature !== null) parts.push(temperatureText(position.temperature));
  parts.push(agoText(wallMs - vehicle.fixMs));
  tip.replaceChildren(
    make('strong', '', position.unit_number),
    make('span', '', parts.join(' · ')),
  );
  // On the side where there is room.
  const isRight = xPx > (tip.offsetParent?.clientWidth ?? Infinity) - tip.offsetWidth - TIP_GAP_PX;
  const left = isRight ? xPx - TIP_GAP_PX - tip.offsetWidth : xPx + TIP_GAP_PX;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(yPx + TIP_GAP_PX)}px)`;
}

function agoText(ageMs: number): string {
  const age = ageText(ageMs);
  return age === 'just now' ? age : `${age} ago`;
}

function fact(name: string, value: string, hint = ''): HTMLElement[] {
  const term = make('dt', '', name);
  const detail = make('dd', '', value);
  if (hint !== '') detail.title = hint;
  return [term, detail];
}
