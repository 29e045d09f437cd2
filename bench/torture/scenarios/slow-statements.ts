/** A database that takes a batch only in small parts: the whole runs into the statement timeout, again and again. */
import { FIX_COUNT } from '../../proof/journey.ts';
import type { Planned } from '../plan.ts';
import { Findings, type Scenario, type Stage } from '../stage.ts';

/** In place of the program's 30 s. */
const STATEMENT_TIMEOUT_MS = 500;
/** A row costs so much: a whole journey 1 s or more, a quarter of it some 0.3 s. */
const ROW_S = 0.002;

export const slowStatements: Scenario = {
  name: 'slow-statements',
  what: 'batches that run into the statement timeout (57014) are divided until they pass',
  async play(stage) {
    const { house, isLong, say } = stage;
    const { databaseProxy: proxy, server, bulk } = house;
    const findings = new Findings();
    await slowRows(stage);
    proxy.rewriteStartup({ statement_timeout: `${STATEMENT_TIMEOUT_MS}` });
    proxy.reset();
    const batches = isLong ? 20 : 2;
    let partsMin = Infinity;
    for (let n = 0; n < batches; n++) {
      const records = bulk.journey(n);
      await bulk.send(records);
      const parts = await transactionsOf(stage, records[0]!);
      partsMin = Math.min(partsMin, parts);
      say(`${FIX_COUNT} rows in ${parts} transactions`);
    }
    findings.hold(partsMin > 1, 'a batch was stored whole: nothing was shown');
    const failures = (await server.metrics()).get(
      'milepost_ingest_commit_failures_total{fault="transient"}',
    );
    findings.hold((failures ?? 0) >= 2 * batches, `only ${failures} commits failed`);
    await house.owner.query('drop trigger slow_row on equipment_gps_location');
    proxy.rewriteStartup(null);
    proxy.reset();
    return { breaches: findings.breaches, figures: { batches, parts_min: partsMin } };
  },
};

async function slowRows({ house }: Stage): Promise<void> {
  await house.owner.query(
    `create or replace function slow_row() returns trigger language plpgsql as
       $$ begin perform pg_sleep(${ROW_S}); return new; end $$`,
  );
  await house.owner.query(
    `create trigger slow_row before insert on equipment_gps_location
       for each row execute function slow_row()`,
  );
}

async function transactionsOf({ house }: Stage, { unit, fix }: Planned): Promise<number> {
  const { rows } = await house.owner.query<{ n: number }>(
    `select count(distinct xmin::text)::int as n from equipment_gps_location
      where equipment_has_iot_device_id = $1 and recorded_at >= to_timestamp($2 / 1000.0)
        and recorded_at < to_timestamp($2 / 1000.0) + interval '5 s' * ${FIX_COUNT}`,
    [house.tenant.deviceIds[unit], fix.timeMs],
  );
  return rows[0]!.n;
}
