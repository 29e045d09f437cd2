import type { ResourceDeclaration } from '../resources/define.ts';

export const roadsideResources: readonly ResourceDeclaration[] = [];
