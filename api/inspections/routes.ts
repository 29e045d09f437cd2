/** What follows from inspections: whether a unit may be used, and which annual inspections are due. */
import { sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { dotInspection } from '../../db/schema.ts';
import { addDays } from '../calendar.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { readToday } from '../customer-day.ts';
import { requireEquipment } from '../equipment/require.ts';
import { Day } from '../resources/fields.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  storedWord,
} from '../schemas.ts';
import { DUE_DAYS, DUE_SOON_DAYS, DUE_STATUSES, dueStatus } from './days.ts';
import { readUnfit, UNFIT_REASONS, UNFIT_REASONS_MAX } from './fitness.ts';

const permission = 'dot_inspection:read';
const tags = ['inspections'];

/** How far ahead the list of what is due looks. */
const WITHIN_DAYS_DEFAULT = 60;
const WITHIN_DAYS_MAX = 3_650;

/** Adds the routes. */
export function addInspectionRoutes(app: FastifyInstance, context: ApiContext): void {
  addFitness(app, context);
  addDue(app, context);
}

const Fitness = Type.Object({
  is_fit: Type.Boolean(),
  reasons: Type.Array(
    Type.Object({
      reason: oneOf(UNFIT_REASONS, {
        description:
          '`out_of_service`: what an inspection found is not repaired; `annual_failed`: the last annual inspection was not ' +
          'passed; `annual_expired`: the last that was passed has run out.',
      }),
      dot_inspection_id: nullable(
        described(
          Id,
          'Null of an inspection that the caller does not see; so is its report number.',
        ),
      ),
      inspection_kind: storedWord(dotInspection.inspection_kind.enumValues),
      report_number: nullable(Type.String()),
      inspection_date: Day,
      expires_on: nullable(described(Day, 'The last day on which it counts, or counted.')),
    }),
    { maxItems: UNFIT_REASONS_MAX },
  ),
});

function addFitness(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'getFitnessOfEquipment',
    tags,
    summary: 'Whether a unit may be handed out',
    description:
      'What was found on a unit holds whoever has it, so inspections are told here of whatever account. A unit that was ' +
      'never inspected is fit.',
    params: closed({ id: described(Id, 'The `equipment_id`.') }),
    response: { 200: Fitness, ...guardedProblems, ...problems(404) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/equipment/:id/fitness', { config: { permission }, schema }, (request) => {
      const { id } = request.params;
      return inTenant(context, request, async (db) => {
        await requireEquipment(db, id);
        const reasons = await readUnfit({ db, nowMs: context.now() }, id);
        return { is_fit: reasons.length === 0, reasons };
      });
    });
}

const DueInspection = Type.Object({
  equipment_id: Id,
  unit_number: Type.String(),
  account_id: nullable(Id),
  dot_inspection_id: nullable(described(Id, 'The last annual inspection that it has passed.')),
  inspection_date: nullable(Day),
  expires_on: nullable(described(Day, 'The last day on which that counts.')),
  days_left: nullable(
    Type.Integer({ description: 'From today, in the time zone of the customer, to that day.' }),
  ),
  status: oneOf(DUE_STATUSES, {
    description:
      `\`none\`: never inspected; \`overdue\`: run out; \`due\`: within ${DUE_DAYS} days; \`due_soon\`: within ` +
      `${DUE_SOON_DAYS}; \`ok\`: later.`,
  }),
});

interface DueRow extends Record<string, unknown> {
  equipment_id: number | string;
  unit_number: string;
  account_id: number | string | null;
  dot_inspection_id: number | string | null;
  inspection_date: string | null;
  expires_on: string | null;
  days_left: number | null;
}

function addDue(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listInspectionsDue',
    tags,
    summary: 'Units whose annual inspection runs out, or which have none',
    description:
      'Each vehicle of a combination is inspected by itself, so this is a list of units; those that are retired are left ' +
      'out. Units without an inspection come first, then those whose inspection runs out first.',
    querystring: closed({
      ...pageQuery,
      within_days: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: WITHIN_DAYS_MAX,
          default: WITHIN_DAYS_DEFAULT,
          description: 'Those that run out within so many days.',
        }),
      ),
      account_id: Type.Optional(described(Id, 'Of units of this account.')),
    }),
    response: { 200: pageOf(DueInspection), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/inspections-due', { config: { permission }, schema }, async (request) => {
      const { within_days = WITHIN_DAYS_DEFAULT, account_id } = request.query;
      const list = openList(context, request, 'inspections-due');
      return inTenant(context, request, async (db) => {
        const today = await readToday({ db, nowMs: context.now() });
        const last = addDays(today, within_days);
        const { rows } = await db.execute<DueRow>(sql`
          select e.equipment_id, e.unit_number, e.account_id, p.dot_inspection_id, p.inspection_date, p.expires_on,
            p.expires_on - ${today}::date as days_left
          from equipment e left join last_annual_passes(${account_id ?? null}) p using (equipment_id)
          where e.status <> 'retired' and (p.expires_on is null or p.expires_on <= ${last}::date)
            ${account_id === undefined ? sql`` : sql`and e.account_id = ${account_id}`}
            ${
              list.after
                ? sql`and (coalesce(p.expires_on, '-infinity'), e.equipment_id)
                    > (coalesce(${list.after[0]}::date, '-infinity'), ${list.after[1]}::bigint)`
                : sql``
            }
          order by coalesce(p.expires_on, '-infinity'), e.equipment_id
          limit ${list.rowsMax}`);
        const data = rows.map((row) => ({
          ...shown(row),
          status: dueStatus(row.expires_on, today),
        }));
        return list.page(data, (row) => [row.expires_on, row.equipment_id]);
      });
    });
}

function shown(row: DueRow) {
  const idOf = (value: number | string | null) => (value === null ? null : Number(value));
  return {
    ...row,
    equipment_id: Number(row.equipment_id),
    account_id: idOf(row.account_id),
    dot_inspection_id: idOf(row.dot_inspection_id),
  };
}
