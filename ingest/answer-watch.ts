/**
 * Finds connections that died without a word under a batch: the batch waits for an answer, and the server's session waits for
 * the batch. Such a session is ended on the server, so that nothing of it comes late and its locks are free, and the
 * connection is cut, so that the batch goes again on a new one. Without this, a batch would wait for the statement timeout.
 * Knows when a session is dead; refuses to know SQL (`session-view.ts`) and batches.
 *
 * A session that is at work, or waits for a lock, is left alone: its state is not "waits for the client". So is one whose data
 * is still on its way: each piece of a COPY moves it. Over a line so slow that nothing moves for a while a session may be ended
 * wrongly, which costs a try and loses nothing; each time, the patience with the next one doubles.
 */
import type { Logger } from './logger.ts';
import type { Session, SessionView } from './session-view.ts';

/** What a statement was sent on that has no answer yet. */
export interface Unanswered {
  /** Another one for each try. */
  readonly attempt: object;
  /** What its session is called on the server. */
  readonly sessionName: string;
  /** Sent at this time, as `performance.now()` tells. */
  readonly sinceMs: number;
  /** How many connections of the same sender were found dead lately. */
  readonly deathCount: number;
  /** Ends the connection; the try then fails with an error of the connection. */
  cut(): void;
}

export interface AnswerWatchOptions {
  /** All that wait now. */
  readonly unanswered: () => readonly Unanswered[];
  /** Rejects, as do its functions, when the server cannot be asked, or `signal` aborts. */
  readonly openView: (signal: AbortSignal) => Promise<SessionView>;
  readonly log: Logger;
  /** For tests. */
  readonly nowMs?: () => number;
}

/** How often is looked for unanswered statements; costs nothing while there are none. */
export const CHECK_MS = 500;
/** Answers that are younger are not asked after. */
export const UNANSWERED_MS_MIN = 1_000;
/** A session that waits for its client unmoved for so long is dead. Doubles with each cut. */
export const PATIENCE_MS = 2_000;

interface Note {
  readonly mark: string;
  /** When it was first seen with this mark. */
  readonly sinceMs: number;
}

export class AnswerWatch {
  private readonly options: AnswerWatchOptions;
  private readonly nowMs: () => number;
  /** Of the attempts whose sessions waited for us at the last look. */
  private notes = new Map<object, Note>();
  private readonly stopped = new AbortController();
  private timer: NodeJS.Timeout | null = null;
  private checking: Promise<void> | null = null;
  /** Whether it was said that the server cannot be asked, since it last could. */
  private isTold = false;

  constructor(options: AnswerWatchOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? (() => performance.now());
  }

  start(): void {
    this.timer ??= setInterval(() => {
      this.checking ??= this.check().finally(() => (this.checking = null));
    }, CHECK_MS);
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.stopped.abort();
    await this.checking;
  }

  /** One look. Never rejects: a server that cannot be asked has not said that anything is dead. */
  async check(): Promise<void> {
    const nowMs = this.nowMs();
    const old = this.options.unanswered().filter((one) => nowMs - one.sinceMs >= UNANSWERED_MS_MIN);
    if (old.length === 0) {
      this.notes.clear();
      return;
    }
    let view: SessionView | null = null;
    try {
      view = await this.options.openView(this.stopped.signal);
      const sessions = await view.look(old.map((one) => one.sessionName));
      this.isTold = false;
      for (const one of this.judge(old, sessions)) await this.end(one, view);
    } catch (error) {
      this.tell(error);
    } finally {
      await view?.close();
    }
  }

  private tell(error: unknown): void {
    if (this.isTold || this.stopped.signal.aborted) return;
    this.isTold = true;
    this.options.log.warn({ err: error }, 'the database cannot be asked after unanswered batches');
  }

  /** Those whose sessions have waited for us for too long. */
  private judge(old: readonly Unanswered[], sessions: readonly Session[]): Unanswered[] {
    const nowMs = this.nowMs();
    const still = new Set(this.options.unanswered().map((one) => one.attempt));
    const sessionOf = new Map(sessions.map((session) => [session.name, session]));
    const notes = new Map<object, Note>();
    const dead: Unanswered[] = [];
    for (const one of old) {
      const session = sessionOf.get(one.sessionName);
      if (!still.has(one.attempt) || session?.waitsForClient === false) continue;
      const mark = session?.mark ?? 'gone';
      const before = this.notes.get(one.attempt);
      const note = before?.mark === mark ? before : { mark, sinceMs: nowMs };
      if (nowMs - note.sinceMs >= PATIENCE_MS * 2 ** one.deathCount) dead.push(one);
      else notes.set(one.attempt, note);
    }
    this.notes = notes;
    return dead;
  }

  private async end(one: Unanswered, view: SessionView): Promise<void> {
    const { sessionName } = one;
    this.options.log.warn({ sessionName }, 'a database connection died without a word; it is cut');
    one.cut();
    try {
      await view.end(sessionName);
    } catch (error) {
      // The others are ended all the same. This one's locks go when the server's own limits end it.
      this.tell(error);
    }
  }
}
