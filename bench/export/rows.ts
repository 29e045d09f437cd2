/** Rows as a list of work orders would have them, made up as they are asked for: the same seed gives the same rows. */
import { seededRandom } from '../../engine/test-data.ts';
import type { ExportColumn, ExportKind, ExportPages, ExportRow } from '../../api/export/columns.ts';
import { headerOf } from '../../api/export/columns.ts';

export interface ExportRowsParams {
  readonly seed: number;
  readonly rows: number;
  readonly pageRows: number;
}

const KINDS: Readonly<Record<string, ExportKind>> = {
  workorder_id: 'integer',
  workorder_number: 'text',
  status: 'text',
  unit_number: 'text',
  vin: 'text',
  account_name: 'text',
  vendor_name: 'text',
  complaint: 'text',
  technician_phone: 'text',
  license_plate: 'text',
  odometer_m: 'integer',
  engine_hours_h: 'number',
  latitude_deg: 'number',
  total_amount: 'number',
  is_breakdown: 'boolean',
  is_warranty: 'boolean',
  due_date: 'date',
  opened_at: 'instant',
  completed_at: 'instant',
  codes: 'json',
};

/** Twenty columns of every kind. */
export const WORKORDER_COLUMNS: readonly ExportColumn[] = Object.entries(KINDS).map(
  ([name, kind]) => ({ name, header: headerOf(name), kind }),
);

const STATUSES = ['open', 'in_progress', 'on_hold', 'completed', 'cancelled'];
const COMPLAINTS = [
  'Brake noise at low speed, worse when wet',
  'Coolant leak "behind the radiator"',
  '-5 bar on the left circuit after an hour',
  'ABS lamp on; code stored',
  'Tyre worn below 3 mm, inner shoulder',
  'Überholung der Bremsanlage, links & rechts',
];
const START_MS = Date.UTC(2026, 0, 1);

export async function* workorderPages(params: ExportRowsParams): ExportPages {
  const random = seededRandom(params.seed);
  for (let from = 0; from < params.rows; from += params.pageRows) {
    const count = Math.min(params.pageRows, params.rows - from);
    // As an answer of a database would, it comes a turn later.
    await new Promise(setImmediate);
    yield Array.from({ length: count }, (_, i) => workorder(from + i + 1, random));
  }
}

function workorder(id: number, random: () => number): ExportRow {
  const whole = (below: number) => Math.floor(random() * below);
  const unit = whole(5_000);
  const openedMs = START_MS + whole(300 * 86_400) * 1_000;
  const isDone = whole(4) > 0;
  return {
    workorder_id: id,
    workorder_number: `WO-${String(id).padStart(7, '0')}`,
    status: STATUSES[whole(5)],
    unit_number: `T-${1_000 + unit}`,
    vin: `1FUJGLDR${String(unit * 7_919).padStart(9, '0')}`,
    account_name: `Region ${whole(40)} <North>`,
    vendor_name: whole(3) === 0 ? null : `Truck Service ${whole(500)}`,
    complaint: COMPLAINTS[whole(6)],
    technician_phone: `+49 30 ${1_000_000 + whole(9_000_000)}`,
    license_plate: `B-MP ${1_000 + unit}`,
    odometer_m: whole(900_000_000),
    engine_hours_h: whole(200_000) / 10,
    latitude_deg: Math.round((random() * 180 - 90) * 1e6) / 1e6,
    total_amount: whole(500_000) / 100,
    is_breakdown: whole(5) === 0,
    is_warranty: whole(9) === 0,
    due_date: new Date(openedMs + 14 * 86_400_000).toISOString().slice(0, 10),
    opened_at: new Date(openedMs),
    completed_at: isDone ? new Date(openedMs + whole(86_400_000)) : null,
    codes: { vmrs: `013-00${whole(9)}-${whole(900)}`, parts: whole(6) },
  };
}
