/**
 * What an error of the database means for the batch that met it. Knows SQLSTATE classes (PostgreSQL manual, appendix A)
 * and nothing of batches.
 */

/**
 * - `duplicate`: a row was there already; the same batch goes in staged.
 * - `data`: a row cannot be stored whatever is tried; it must be found and refused.
 * - `transient`: nothing is wrong with the batch; the same batch is tried again.
 */
export type Fault = 'duplicate' | 'data' | 'transient';

/** Classifies. Whatever is not known to be the data's fault is transient: better late than lost. */
export function faultOf(error: unknown): Fault {
  const code = sqlState(error);
  if (code === null) return 'transient';
  if (code === '23505') return 'duplicate';
  if (isPartitionMissing(error)) return 'transient';
  if (code.startsWith('22') || code.startsWith('23')) return 'data';
  return 'transient';
}

/** True when the connection itself is gone, or must be given up because the server does not answer. */
export function isConnectionError(error: unknown): boolean {
  const code = sqlState(error);
  return code === null || code.startsWith('08') || code.startsWith('57P');
}

/** The five characters of SQLSTATE, or `null` when the error did not come from the server. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return null;
  return typeof error.code === 'string' && error.code.length === 5 ? error.code : null;
}

/** The statement took too long: perhaps because the batch is too large for this database now. */
export function isTimeout(error: unknown): boolean {
  return sqlState(error) === '57014';
}

/** The day's partition is not there: it was made, and then dropped by somebody. */
export function isPartitionMissing(error: unknown): boolean {
  return sqlState(error) === '23514' && !hasConstraint(error);
}

/** A key that points to what was deleted while the batch was worked out: evaluated anew, the batch may pass. */
export function isStaleReference(error: unknown): boolean {
  return sqlState(error) === '23503';
}

function hasConstraint(error: unknown): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint !== undefined;
}
