/**
 * Another form of a resource's rows than JSON of their columns, such as GeoJSON: shown to those whose `Accept` asks for it,
 * and taken where that is the content type. Knows no form; a declaration brings its own.
 */
import type { TSchema } from 'typebox';
import type { Row } from './define.ts';
import type { Resource } from './resource.ts';

/** A page of a list, as far as a form may say it in its own words. */
export interface ShownPage {
  readonly data: readonly Row[];
  readonly page: unknown;
}

export interface Representation {
  /** Content type, in lower case and without parameters. */
  readonly mediaType: string;
  /** Columns without which no row can be shown: read in lists too that choose others. */
  readonly needs: readonly string[];
  /** The schemas of a row, of a page of rows, and of a body that makes a row. */
  schemasOf(resource: Resource): { row: TSchema; page: TSchema; body: TSchema };
  show(row: Row): unknown;
  showPage(page: ShownPage): unknown;
  /** The values that a validated body stands for. Throws a `Problem` that names the field of that body. */
  read(body: unknown): Row;
  /** Where a problem of the columns is to be found in the body that they came from. All else is given back. */
  locate(error: unknown): unknown;
}

/**
 * Whether an `Accept` header asks for a media type rather than for JSON: it is named, and JSON is not asked for with more
 * weight, by its name or else by `application/*` or by anything at all. Of two names with the same weight the first is
 * taken.
 */
export function prefers(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined) return false;
  const ranges = accept.split(',').map((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { name, weight: q === undefined ? 1 : Number(q.slice(2)) };
  });
  const find = (name: string): number => ranges.findIndex((range) => range.name === name);
  const at = find(mediaType);
  const weight = ranges[at]?.weight ?? 0;
  if (!(weight > 0)) return false;
  const json = find('application/json');
  const rival = ranges[json] ?? ranges[find('application/*')] ?? ranges[find('*/*')];
  if (rival === undefined || weight > rival.weight) return true;
  return weight === rival.weight && (json < 0 || at < json);
}
