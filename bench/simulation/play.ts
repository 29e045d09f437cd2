/**
 * How a house lives through a turn: calmly, or with all that can go wrong on the way. Both must come to the same.
 * Every way of going wrong ends with the batch committed once; what was delivered again tells nothing.
 */
import type { EngineEvent } from '../../engine/types.ts';
import type { Random } from '../demo/random.ts';
import { hold } from './breach.ts';
import type { Delivery, House } from './house.ts';
import type { Turn } from './turns.ts';

/** How often what happened. */
export type Mishaps = Record<Mishap, number>;

type Mishap =
  | 'refusals'
  | 'lostAnswers'
  | 'killsBefore'
  | 'killsAfter'
  | 'restarts'
  | 'redeliveries'
  | 'missedEdits';

/** Deliveries of a partition that a gateway may send again. */
const REMEMBERED_MAX = 30;
/** So much more goes wrong with a batch that is the first to see an edit: there is more to lose. */
const EDITED_ODDS = 8;

/** What is the partition's of a turn. */
function deliveryOf(house: House, partition: number, turn: Turn): Delivery {
  return {
    step: turn.step,
    nowMs: turn.nowMs,
    fixes: house.ownRows(turn.fixes, partition),
    readings: house.ownRows(turn.readings, partition),
  };
}

/** Nothing goes wrong. */
export function playCalm(house: House, turn: Turn): EngineEvent[] {
  const told: EngineEvent[] = [];
  house.store.edit(turn.edits);
  house.edit(turn.edits);
  for (let partition = 0; partition < house.partitions; partition++) {
    const work = house.evaluate(partition, deliveryOf(house, partition, turn));
    house.store.commit(work);
    house.commit(partition);
    told.push(...work.events);
  }
  return told;
}

/** Transactions are refused, answers get lost, processes die at any point, gateways deliver again. */
export class RoughPlay {
  readonly mishaps: Mishaps = {
    refusals: 0,
    lostAnswers: 0,
    killsBefore: 0,
    killsAfter: 0,
    restarts: 0,
    redeliveries: 0,
    missedEdits: 0,
  };
  private readonly house: House;
  private readonly random: Random;
  private readonly remembered = new Map<number, Delivery[]>();

  constructor(house: House, random: Random) {
    this.house = house;
    this.random = random;
  }

  play(turn: Turn): EngineEvent[] {
    const { house, random } = this;
    if (random.chance(0.01)) this.restart('restarts');
    house.store.edit(turn.edits);
    // The process dies before it hears of the edits, and reads them when it starts.
    if (turn.edits.length > 0 && random.chance(0.2)) this.restart('missedEdits');
    else house.edit(turn.edits);
    const told: EngineEvent[] = [];
    for (let partition = 0; partition < house.partitions; partition++) {
      const delivery = deliveryOf(house, partition, turn);
      const odds = turn.edits.length > 0 ? EDITED_ODDS : 1;
      told.push(...this.deliver(partition, this.withOld(partition, delivery), odds));
      this.remember(partition, delivery);
      if (random.chance(0.02)) this.deliverOld(partition, turn);
    }
    return told;
  }

  /** Until it is committed; gives what it told. */
  private deliver(partition: number, delivery: Delivery, odds: number): readonly EngineEvent[] {
    const { house, random } = this;
    for (;;) {
      const work = house.evaluate(partition, delivery);
      const chance = random.unit() / odds;
      if (chance < 0.02) {
        this.mishaps.refusals++;
        house.rollback(partition);
      } else if (chance < 0.03) this.restart('killsBefore');
      else if (chance < 0.04) {
        house.store.commit(work);
        this.restart('killsAfter');
        this.deliverAgain(partition, delivery);
        return work.events;
      } else {
        house.store.commit(work);
        if (chance < 0.06) {
          this.mishaps.lostAnswers++;
          house.store.commit(work, true);
        }
        house.commit(partition);
        return work.events;
      }
    }
  }

  /** Everything in it has been committed before: nothing follows from it. */
  private deliverAgain(partition: number, delivery: Delivery): void {
    const { house } = this;
    const work = house.evaluate(partition, delivery);
    const seen = (): string => JSON.stringify(work.events);
    hold(work.events.length === 0, 'what is delivered again tells nothing', seen);
    house.store.commit(work);
    house.commit(partition);
  }

  private deliverOld(partition: number, { step, nowMs }: Turn): void {
    const old = this.remembered.get(partition);
    if (old === undefined || old.length === 0) return;
    this.mishaps.redeliveries++;
    this.deliverAgain(partition, { ...this.random.pick(old), step, nowMs });
  }

  /** Now and then rows that were delivered before come in one batch with new ones. */
  private withOld(partition: number, delivery: Delivery): Delivery {
    const old = this.remembered.get(partition);
    if (old === undefined || old.length === 0 || !this.random.chance(0.02)) return delivery;
    this.mishaps.redeliveries++;
    const { fixes, readings } = this.random.pick(old);
    return {
      ...delivery,
      fixes: [...fixes, ...delivery.fixes],
      readings: [...readings, ...delivery.readings],
    };
  }

  private remember(partition: number, delivery: Delivery): void {
    const old = this.remembered.get(partition) ?? [];
    old.push(delivery);
    if (old.length > REMEMBERED_MAX) old.shift();
    this.remembered.set(partition, old);
  }

  private restart(why: Mishap): void {
    this.mishaps[why]++;
    this.house.restart();
  }
}
