/** What the bench's two threads say to each other. */
import type { Evaluation } from '../../engine/types.ts';
import type { RingMemory } from './ring.ts';
import type { Columns, StagesParams } from './stages.ts';

/** What the worker is started with. */
export interface WorkerStart {
  readonly stages: StagesParams;
  readonly nowMs: number;
  readonly batchRows: number;
}

/** In place of a device's number in the ring: nothing more comes. */
export const RING_END = -2;

export type ToWorker =
  /** A pass begins; reads come through the ring where there is one. */
  | { readonly kind: 'begin'; readonly evaluates: boolean; readonly ring: RingMemory | null }
  | { readonly kind: 'read'; readonly device: number; readonly bytes: ArrayBuffer }
  /** Decoded rows, to be evaluated and encoded. */
  | { readonly kind: 'rows'; readonly count: number; readonly columns: Columns }
  /** Memory that came back. */
  | { readonly kind: 'spare'; readonly columns: Columns | null; readonly room: ArrayBuffer | null }
  | { readonly kind: 'end' };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'rows'; readonly count: number; readonly columns: Columns }
  | {
      readonly kind: 'work';
      readonly count: number;
      readonly columns: Columns;
      readonly copy: Uint8Array;
      readonly evaluation: Evaluation;
    }
  | { readonly kind: 'ended' };
