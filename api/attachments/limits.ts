/** Limits of attachments: times in milliseconds, sizes in bytes. Tested against docs/attachments.md. */

export interface AttachmentLimits {
  /** Of one file. */
  readonly fileBytesMax: number;
  /** Of one upload. */
  readonly filesMax: number;
  readonly fieldsMax: number;
  readonly fieldBytesMax: number;
  /** Until an upload has arrived. */
  readonly uploadMsMax: number;
  /** Until a download has been fetched. */
  readonly downloadMsMax: number;
  /** Uploads that one process receives at once, of all tenants and of one. */
  readonly uploadsMax: number;
  readonly uploadsPerTenantMax: number;
  /** How long the rest of a refused upload is taken in and thrown away, so that its sender hears why. */
  readonly drainMsMax: number;
  /** An upload that is older will not be completed, and after twice the time its bytes are removed. */
  readonly uploadAgeMsMax: number;
  /** How long the bytes of a deleted attachment are kept. */
  readonly deletedKeepMs: number;
  /** Between two rounds of the sweeper. */
  readonly sweepMs: number;
  /** Files that it removes in one go. */
  readonly sweepRowsMax: number;
}

export const ATTACHMENT_LIMITS: AttachmentLimits = {
  fileBytesMax: 26_214_400,
  filesMax: 10,
  fieldsMax: 8,
  fieldBytesMax: 8_192,
  uploadMsMax: 300_000,
  downloadMsMax: 600_000,
  uploadsMax: 32,
  uploadsPerTenantMax: 8,
  drainMsMax: 5_000,
  uploadAgeMsMax: 1_800_000,
  deletedKeepMs: 2_592_000_000,
  sweepMs: 900_000,
  sweepRowsMax: 500,
};
