/**
 * COPY … FROM STDIN of data that is there as a whole: one write to the socket, where a stream would make one of each piece and
 * wake the server for each. Knows the three messages of the protocol (PostgreSQL manual, "COPY Operations") and how `pg`
 * speaks to a query of our own; refuses to know tables.
 */
import type { ClientBase } from 'pg';

/** CopyDone. */
const DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const DATA_CODE = 0x64;
const HEAD_BYTES = 5;

/** What `pg` hands to a query: the part that is used here. */
interface Connection {
  query(text: string): void;
  readonly stream: {
    cork(): void;
    uncork(): void;
    write(bytes: Uint8Array): boolean;
  };
}

/**
 * Runs a statement that ends in COPY … FROM STDIN, and sends the data when the server asks for it. Resolves when the server
 * is ready for the next statement, rejects with its error, or with that of the connection. The bytes must stay as they are
 * until then.
 */
export function copyIn(client: ClientBase, text: string, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(text, data, resolve, reject));
  });
}

/** `pg` calls what is public, by these names. */
class CopyIn {
  /** Where queries have a time limit, `pg` puts a function here that ends it. */
  callback = (): void => undefined;
  private readonly text: string;
  private readonly data: Buffer;
  private readonly resolve: () => void;
  private readonly reject: (error: Error) => void;

  constructor(text: string, data: Buffer, resolve: () => void, reject: (error: Error) => void) {
    this.text = text;
    this.data = data;
    this.resolve = resolve;
    this.reject = reject;
  }

  submit(connection: unknown): void {
    (connection as Connection).query(this.text);
  }

  handleCopyInResponse({ stream }: Connection): void {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head[0] = DATA_CODE;
    head.writeUInt32BE(this.data.length + HEAD_BYTES - 1, 1);
    stream.cork();
    stream.write(head);
    stream.write(this.data);
    stream.write(DONE);
    stream.uncork();
  }

  /** Comes for each statement of the text. */
  handleCommandComplete(): void {
    // Nothing depends on the count of rows.
  }

  handleReadyForQuery(): void {
    this.callback();
    this.resolve();
  }

  handleError(error: Error): void {
    this.callback();
    this.reject(error);
  }
}
