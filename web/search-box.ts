/**
 * Finding a unit by its number: a box and its list of hits, worked by keys or pointer. States: closed, or open with at
 * most one hit active; Escape, a choice or leaving the box closes it.
 */
import { byId, make } from './dom.ts';
import { stateOf, type Fleet, type Vehicle } from './fleet.ts';
import { STATE_TEXT } from './unit-card.ts';

const HITS_MAX = 8;

/** Wires the box, and `/` as the key that leads to it. `picked` gets the unit chosen. */
export class SearchBox {
  #fleet: Fleet;
  #picked: (equipmentId: number) => void;
  #input = byId('search', HTMLInputElement);
  #list = byId('hits', HTMLUListElement);
  #ids: number[] = [];
  #active = -1;

  constructor(fleet: Fleet, picked: (equipmentId: number) => void) {
    this.#fleet = fleet;
    this.#picked = picked;
    this.#input.addEventListener('input', () => this.#show());
    this.#input.addEventListener('focus', () => this.#show());
    this.#input.addEventListener('blur', () => this.#hide());
    this.#input.addEventListener('keydown', (event) => {
      if (this.#keyed(event.key)) event.preventDefault();
    });
    document.addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey) return;
      if (event.target instanceof HTMLInputElement) return;
      if (event.target instanceof HTMLTextAreaElement) return;
      event.preventDefault();
      this.#input.focus();
    });
  }

  #show(): void {
    const hits = this.#fleet.search(this.#input.value, HITS_MAX);
    this.#ids = hits.map(({ position }) => position.equipment_id);
    this.#active = hits.length > 0 ? 0 : -1;
    this.#list.replaceChildren(...hits.map((vehicle, index) => this.#item(vehicle, index)));
    if (hits.length === 0 && this.#input.value.trim() !== '') {
      this.#list.append(make('li', 'none', 'No such unit on the map'));
    }
    this.#list.hidden = this.#list.children.length === 0;
    this.#mark();
  }

  #item(vehicle: Vehicle, index: number): HTMLLIElement {
    const item = make('li');
    item.id = `hit-${index}`;
    item.role = 'option';
    const state = stateOf(vehicle, Date.now());
    item.append(
      make('span', `dot ${state}`),
      make('strong', '', vehicle.position.unit_number),
      make('span', 'what', STATE_TEXT[state]),
    );
    // Before the box loses the focus, and the list with it.
    item.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      this.#choose(index);
    });
    return item;
  }

  #mark(): void {
    this.#input.setAttribute('aria-expanded', String(!this.#list.hidden));
    for (const [index, item] of [...this.#list.children].entries()) {
      item.setAttribute('aria-selected', String(index === this.#active));
    }
    if (this.#active >= 0 && !this.#list.hidden) {
      this.#input.setAttribute('aria-activedescendant', `hit-${this.#active}`);
    } else {
      this.#input.removeAttribute('aria-activedescendant');
    }
  }

  #hide(): void {
    this.#list.hidden = true;
    this.#mark();
  }

  #choose(index: number): void {
    const id = this.#ids[index];
    if (id === undefined) return;
    this.#input.value = '';
    this.#hide();
    this.#picked(id);
  }

  #keyed(key: string): boolean {
    const count = this.#ids.length;
    switch (key) {
      case 'ArrowDown':
      case 'ArrowUp':
        if (count > 0)
          this.#active = (this.#active + (key === 'ArrowDown' ? 1 : -1) + count) % count;
        this.#mark();
        return true;
      case 'Enter':
        this.#choose(this.#active);
        return true;
      case 'Escape':
        this.#input.value = '';
        this.#hide();
        return true;
      default:
        return false;
    }
  }
}
