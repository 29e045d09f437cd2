/** Entity tags of rows with a `version` column (RFC 9110 8.8.3, 13.1): reading them back, and refusing lost updates. */
import { fieldProblem, Problem } from './problem.ts';

/** Characters of `If-Match` and `If-None-Match`. */
export const CONDITION_LENGTH_MAX = 1_000;
const TAG = /^(W\/)?"[\x21\x23-\x7e]*"$/;

/** The strong tag of a version. */
export function entityTag(version: number): string {
  return `"${version}"`;
}

/**
 * Throws 412 when `If-Match` was sent and names another version, 400 when it is not a list of tags. Weak tags match
 * nothing. Without the header every version is right.
 */
export function requireMatch(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const tags = readTags(ifMatch, 'if-match');
  if (tags.includes(entityTag(version))) return;
  throw new Problem(
    'precondition_failed',
    `the current version is ${entityTag(version)}; read it again, then repeat the change`,
    { headers: { etag: entityTag(version) } },
  );
}

/** True when `If-None-Match` names this version: the caller has it already. Weak tags count. */
export function isKnown(ifNoneMatch: string | undefined, version: number): boolean {
  return isTagKnown(ifNoneMatch, entityTag(version));
}

/** The same for a tag of any kind. */
export function isTagKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const tags = readTags(ifNoneMatch, 'if-none-match');
  return tags.some((one) => one.replace(/^W\//, '') === tag);
}

function readTags(header: string, name: string): string[] {
  const tags = header.split(',').map((tag) => tag.trim());
  if (header.length <= CONDITION_LENGTH_MAX && tags.every((tag) => TAG.test(tag))) return tags;
  throw fieldProblem(
    'invalid_request',
    'header',
    `/${name}`,
    'must be a list of entity tags such as "3", or *',
  );
}
