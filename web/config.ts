/** What `GET /web-config.json` answers, before anybody has signed in. */
export interface WebConfig {
  /** `ws://` or `wss://` address of the live WebSocket. */
  live_url: string;
  /** Whether `POST /demo/sign-in` exists here. */
  demo: boolean;
}
