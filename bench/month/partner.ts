/** A partner that keeps a copy of both fleets by `GET /v1/changes`, from the first day to the last. */
import type { Test } from 'tap';
import { bodyOf, type Fleet } from './fleet.ts';
import { read } from './story.ts';

/** What is copied, with the key of each. */
const COPIED: Readonly<Record<string, string>> = {
  workorders: 'workorder_id',
  'service-requests': 'service_request_id',
  'equipment-assignments': 'equipment_assignment_id',
  'preventive-maintenance-events': 'pm_event_id',
  invoices: 'id',
  'invoice-items': 'id',
  payments: 'id',
};
/** Pages that one look may take. */
const PAGES_MAX = 100;

interface Page {
  readonly data: readonly { resource: string; id: number | string; row: object | null }[];
  readonly page: { readonly next_cursor: string; readonly has_more: boolean };
}

export class Partner {
  private readonly fleet: Fleet;
  private readonly rows = new Map<string, object>();
  private cursor = '';

  constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  /** Takes in whatever is new. */
  async look(): Promise<void> {
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const since = this.cursor === '' ? '' : `&since=${encodeURIComponent(this.cursor)}`;
      const path = `/v1/changes?resources=${Object.keys(COPIED).join()}${since}`;
      const { data, page } = await bodyOf<Page>(this.fleet.person.get(path));
      for (const { resource, id, row } of data) {
        if (row === null) this.rows.delete(`${resource}/${id}`);
        else this.rows.set(`${resource}/${id}`, row);
      }
      this.cursor = page.next_cursor;
      if (!page.has_more) return;
    }
    throw new Error('the feed does not come to an end');
  }

  /** Holds the copy against the lists. */
  async compare(t: Test): Promise<void> {
    for (const [resource, key] of Object.entries(COPIED)) {
      const { data } = await read<{ data: Record<string, number>[] }>(
        this.fleet,
        `/v1/${resource}?limit=500`,
      );
      const copied = data.map((row) => this.rows.get(`${resource}/${row[key]}`));
      t.same(copied, data, `the copy of ${resource}`);
      const held = [...this.rows.keys()].filter((name) => name.startsWith(`${resource}/`));
      t.equal(held.length, data.length, `and nothing else of ${resource}`);
    }
  }
}
