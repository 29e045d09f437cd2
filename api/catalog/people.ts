import type { ResourceDeclaration } from '../resources/define.ts';

export const peopleResources: readonly ResourceDeclaration[] = [];
