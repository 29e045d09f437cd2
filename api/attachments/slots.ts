/** How many uploads are received at once: a fixed number of places, and fewer for one tenant. */
import { Problem, RETRY_AFTER_S } from '../problem.ts';
import type { AttachmentLimits } from './limits.ts';

export interface UploadSlots {
  /** Takes a place and gives the function that frees it. Throws 503 with Retry-After when there is none. */
  take(customerId: number): () => void;
}

/** Makes the places of one process. */
export function createUploadSlots(limits: AttachmentLimits): UploadSlots {
  const { uploadsMax, uploadsPerTenantMax } = limits;
  const ofTenant = new Map<number, number>();
  let taken = 0;
  return {
    take(customerId) {
      const own = ofTenant.get(customerId) ?? 0;
      if (taken >= uploadsMax || own >= uploadsPerTenantMax) throw full();
      taken += 1;
      ofTenant.set(customerId, own + 1);
      let isFree = false;
      return () => {
        if (isFree) return;
        isFree = true;
        taken -= 1;
        const left = ofTenant.get(customerId)! - 1;
        if (left === 0) ofTenant.delete(customerId);
        else ofTenant.set(customerId, left);
      };
    },
  };
}

function full(): Problem {
  return new Problem('unavailable', 'too many uploads at once; try again in a few seconds', {
    headers: { 'retry-after': String(RETRY_AFTER_S) },
  });
}
