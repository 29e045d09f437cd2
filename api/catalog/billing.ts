import type { ResourceDeclaration } from '../resources/define.ts';

export const billingResources: readonly ResourceDeclaration[] = [];
