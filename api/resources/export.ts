/**
 * `GET /v1/…/export`: a list as CSV or as a workbook, written while it is read. At the pace of who reads it: nothing is
 * held at the database meanwhile, and no more than a few pages here. What takes longer than somebody wants to wait is a
 * job (`api/export/routes.ts`).
 */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ApiContext } from '../context.ts';
import { headerOf, type ExportColumn, type ExportKind } from '../export/columns.ts';
import { writeCsv } from '../export/csv.ts';
import { writeXlsx } from '../export/xlsx.ts';
import { principalOf } from '../guard.ts';
import { Problem, RETRY_AFTER_S } from '../problem.ts';
import { closed, guardedProblems, oneOf, problems } from '../schemas.ts';
import { findView } from '../views/view.ts';
import type { Row } from './define.ts';
import type { Field, FieldKind } from './fields.ts';
import { listQueryOf, pagesOf, readList, type ListRequest, type ListSelect } from './list.ts';
import { titleOf, type Resource } from './resource.ts';

/** Exports that this process writes at once, and of one tenant. */
export const EXPORTS_AT_ONCE_MAX = 8;
export const EXPORTS_PER_TENANT_MAX = 2;

/** Until the whole file has been taken. */
export const EXPORT_MS_MAX = 3_600_000;

export const EXPORT_FORMATS = ['csv', 'xlsx'] as const;
export type Format = (typeof EXPORT_FORMATS)[number];

const Format = oneOf(EXPORT_FORMATS, { description: 'What the file is to be.' });

/** Content types of what is written. */
export const EXPORT_TYPES: Readonly<Record<Format, string>> = {
  csv: 'text/csv; charset=utf-8',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
};

const KINDS: Readonly<Record<FieldKind, ExportKind>> = {
  text: 'text',
  word: 'text',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
  date: 'date',
  instant: 'instant',
  list: 'json',
  json: 'json',
};

/** The columns of an export: the fields that are shown, under the same names. */
export function exportColumns(fields: readonly Field[]): ExportColumn[] {
  return fields.map(({ name, kind }) => ({ name, header: headerOf(name), kind: KINDS[kind] }));
}

/** How many are being written, in all and by tenant. */
export class ExportSlots {
  readonly #ofTenant = new Map<number, number>();
  #count = 0;

  /** Gives a way to hand the slot back, once. Throws 503 when there are as many as may be. */
  take(customerId: number): () => void {
    const own = this.#ofTenant.get(customerId) ?? 0;
    if (this.#count >= EXPORTS_AT_ONCE_MAX || own >= EXPORTS_PER_TENANT_MAX) {
      const headers = { 'retry-after': String(RETRY_AFTER_S) };
      throw new Problem(
        'unavailable',
        'too many exports are being written; try again, or ask for a job',
        { headers },
      );
    }
    this.#count += 1;
    this.#ofTenant.set(customerId, own + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#count -= 1;
      const left = this.#ofTenant.get(customerId)! - 1;
      if (left === 0) this.#ofTenant.delete(customerId);
      else this.#ofTenant.set(customerId, left);
    };
  }
}

/** The file of a list. */
export function writeList(
  format: Format,
  resource: Resource,
  select: ListSelect,
  pages: AsyncIterable<readonly Row[]>,
) {
  const columns = exportColumns(select.fields);
  return format === 'csv'
    ? writeCsv(columns, pages)
    : writeXlsx(columns, pages, { sheetName: resource.nouns });
}

/** Adds the route of one resource. */
export function addExportRoute(
  app: FastifyInstance,
  context: ApiContext,
  resource: Resource,
  slots: ExportSlots,
): void {
  const { nouns, path, tag } = resource;
  const file = { schema: Type.String() };
  const schema = {
    operationId: `export${titleOf(nouns)}`,
    tags: [tag],
    summary: `Export ${nouns}`,
    description: 'The whole list, with the filters, the order and the views of the list itself.',
    querystring: closed({ format: Format, ...listQueryOf(resource) }),
    response: {
      200: {
        description: 'The file.',
        content: Object.fromEntries(
          Object.values(EXPORT_TYPES).map((type) => [type.split(';')[0]!, file]),
        ),
      },
      ...guardedProblems,
      ...problems(422),
    },
  };
  const config = { permission: resource.read, handlerMsMax: EXPORT_MS_MAX };
  const options = { config, schema };
  app.get(`/v1/${path}/export`, options, async (request, reply) => {
    const query = request.query as ListRequest & { format: Format };
    const principal = principalOf(request);
    const view = await findView(context.pool, principal, resource, query.view);
    const select = readList(resource, query, { view, isFile: true });
    const release = slots.take(principal.tenant.customerId);
    const stream = writeList(
      query.format,
      resource,
      select,
      pagesOf(context.pool, principal, resource, select),
    );
    stream.once('close', release);
    const day = new Date(context.now()).toISOString().slice(0, 10);
    return reply
      .type(EXPORT_TYPES[query.format])
      .header('content-disposition', `attachment; filename="${path}-${day}.${query.format}"`)
      .header('cache-control', 'private, no-store')
      .send(stream);
  });
}
