/** One row in 5,000 that every decoder lets pass and the database refuses. */
import { FIX_COUNT } from '../../proof/journey.ts';
import { Findings, type Scenario, type Stage } from '../stage.ts';

const UNITS = 10;
const ROWS = UNITS * FIX_COUNT;

export const poison: Scenario = {
  name: 'poison',
  what: 'one poison row among 5,000, in ten requests at once',
  async play(stage) {
    const { random, isLong, say } = stage;
    const findings = new Findings();
    const { bulk } = stage.house;
    const rounds = isLong ? 10 : 1;
    for (let round = 0; round < rounds; round++) {
      const before = await counts(stage);
      const at = random.whole(0, ROWS - 1);
      const messages = Array.from({ length: UNITS }, (_, unit) =>
        bulk.journey(unit, Math.floor(at / FIX_COUNT) === unit ? at % FIX_COUNT : -1),
      );
      await Promise.all(messages.map((records) => bulk.send(records)));
      const after = await counts(stage);
      const fixes = after.fixes - before.fixes;
      const rejects = after.rejects - before.rejects;
      findings.hold(fixes === ROWS - 1, `${fixes} of ${ROWS - 1} good rows are stored`);
      findings.hold(rejects === 1, `${rejects} rows are among the refused`);
      say(`${fixes} stored, ${rejects} refused`);
    }
    return { breaches: findings.breaches, figures: { rows: rounds * ROWS, poison: rounds } };
  },
};

async function counts({ house }: Stage): Promise<{ fixes: number; rejects: number }> {
  const { rows } = await house.owner.query<{ fixes: number; rejects: number }>(
    `select (select count(*) from equipment_gps_location) as fixes,
            (select count(*) from ingest_reject) as rejects`,
  );
  return rows[0]!;
}
