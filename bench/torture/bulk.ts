/**
 * Whole journeys in single requests, for what must be in one batch. Knows how they are sent until they are answered, and
 * writes the ledger; refuses to know what is shown with them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { FIX_COUNT, journeyOf } from '../proof/journey.ts';
import type { ProofTenant } from '../proof/tenants.ts';
import { nameOf } from './fleet.ts';
import type { Ledger } from './ledger.ts';
import { recordOf, type Planned } from './plan.ts';

/** Units that no device of the fleet speaks for. */
export const BULK_UNITS = 20;

const DAY_MS = 86_400_000;
/** No more days of journeys than this fit into a run. */
const BEFORE_DAYS = 30;
const RETRY_MS = 500;

export interface BulkOptions {
  readonly tenant: ProofTenant;
  readonly ledger: Ledger;
  readonly httpUrl: string;
  /** The first of `BULK_UNITS` units. */
  readonly firstUnit: number;
}

/** Journeys of units of their own, each later than those before it, so that none of them is late. */
export class Bulk {
  private readonly options: BulkOptions;
  private count = 0;

  constructor(options: BulkOptions) {
    this.options = options;
  }

  /** A journey of `FIX_COUNT` records of the n-th of the units; with a poison row at this place, −1: with none. */
  journey(n: number, poisonAt = -1): Planned[] {
    this.count += 1;
    const unit = this.options.firstUnit + (n % BULK_UNITS);
    const endMs = Date.now() - BEFORE_DAYS * DAY_MS + this.count * FIX_COUNT * 5_000;
    return journeyOf(unit, endMs).map((fix, i) =>
      i === poisonAt
        ? { unit, bad: 'storage_refused', fix: { ...fix, temperatureC: null } }
        : { unit, bad: null, fix },
    );
  }

  /** Sends the records of one unit in one request, again until it is answered; to another server where one is named. */
  async send(records: readonly Planned[], httpUrl = this.options.httpUrl): Promise<void> {
    const { ledger, tenant } = this.options;
    const device = nameOf(tenant, records[0]!.unit);
    const lines = records.map((planned) => JSON.stringify(recordOf(planned, device)));
    for (;;) {
      for (const planned of records) ledger.sent(planned);
      const response = await fetch(`${httpUrl}/v1/telemetry`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${tenant.gatewayToken}`,
          'content-type': 'application/x-ndjson',
        },
        body: lines.join('\n'),
      });
      const text = await response.text();
      if (response.status === 200) {
        const { rejected } = JSON.parse(text) as { rejected: { index: number }[] };
        const refused = new Set(rejected.map(({ index }) => index));
        for (const [i, planned] of records.entries()) ledger.answered(planned, refused.has(i));
        return;
      }
      if (response.status !== 503) throw new Error(`POST gives ${response.status}: ${text}`);
      await wait(RETRY_MS);
    }
  }
}
