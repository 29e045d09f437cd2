/** What the demo tells whoever started it: where to look, how to sign in, what to paste. Text alone. */
import { DEMO_SIGN_IN_PATH } from '../../api/auth/demo-routes.ts';
import type { Milepost } from '../../main.ts';
import { USERS } from './people.ts';

/** What differs from start to start. */
export interface WelcomeFacts {
  readonly urls: Milepost['urls'];
  readonly password: string;
  readonly vehicleCount: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Of `writeDemoEnv`. */
  readonly envFile: string;
  readonly databasePort: number;
  readonly isNew: boolean;
}

/** Several lines, the last without a line break. */
export function welcome(facts: WelcomeFacts): string {
  const { urls, password } = facts;
  const at = (path: string) => new URL(path, urls.http).href;
  const emailColumns = Math.max(...USERS.map(({ email }) => email.length));
  const body = JSON.stringify({ email: USERS[0]!.email, password });
  const teltonika = urls['teltonika'];
  const data = facts.isNew ? 'new' : 'with the data of earlier runs';
  return [
    '',
    `Milepost runs, with ${facts.vehicleCount} simulated vehicles.`,
    '',
    `  map        ${at('/')}`,
    `  API        ${at('/docs')}`,
    `  MQTT       ${urls.mqtt} (3.1.1 and 5.0)`,
    ...(teltonika === undefined ? [] : [`  Teltonika  ${teltonika} (one vehicle comes this way)`]),
    `  live       ${urls.live}`,
    `  database   postgres://milepost@127.0.0.1:${facts.databasePort}/milepost, ${data};`,
    `             its password is in ${facts.dataDir}/password`,
    `  log        ${facts.logFile}`,
    '',
    `Sign in with the password ${password} as`,
    '',
    ...USERS.map(({ email, says }) => `  ${email.padEnd(emailColumns)}  ${says}`),
    '',
    'or from a shell:',
    '',
    `  TOKEN=$(curl -s ${at(DEMO_SIGN_IN_PATH)} -H 'content-type: application/json' \\`,
    `    -d '${body}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
    `  curl -s '${at('/v1/activity-feed?limit=5')}' -H "authorization: Bearer $TOKEN"`,
    '',
    `Addresses, a user and a spare device for a shell, as README.md uses them: . ${facts.envFile}`,
    '',
    'Ctrl-C stops everything and keeps the data; a second one does not wait.',
    '',
  ].join('\n');
}
