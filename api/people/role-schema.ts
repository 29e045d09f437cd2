/** The JSON of a role: which rights there are, and what may be done with each. Anything else is refused, by its name. */
import { Type } from 'typebox';
import { RIGHTS } from '../auth/permissions.ts';
import { closed, oneOf } from '../schemas.ts';

/** `user_role.role_permission`. */
export const RolePermission = closed(
  Object.fromEntries(
    Object.entries(RIGHTS).map(([right, actions]) => [
      right,
      Type.Optional(Type.Array(oneOf(actions), { maxItems: actions.length, uniqueItems: true })),
    ]),
  ),
  { description: 'What holders of the role may do. What is not named is denied.' },
);
