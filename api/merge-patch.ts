/** JSON Merge Patch, RFC 7396. */

/** Content types that PATCH routes take. */
export const MERGE_PATCH_CONTENT_TYPE = 'application/merge-patch+json';
/** Objects within objects that a patch is followed into; deeper ones replace what they meet. */
const DEPTH_MAX = 32;

/**
 * What `target` becomes under `patch`: objects are merged, null removes a member, anything else (arrays too) replaces.
 * Neither argument is changed.
 */
export function mergePatch(target: unknown, patch: unknown, depth = 0): unknown {
  if (!isObject(patch) || depth === DEPTH_MAX) return patch;
  const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value, depth + 1));
  }
  return Object.fromEntries(merged);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
