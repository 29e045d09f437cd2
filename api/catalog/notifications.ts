import type { ResourceDeclaration } from '../resources/define.ts';

export const notificationsResources: readonly ResourceDeclaration[] = [];
