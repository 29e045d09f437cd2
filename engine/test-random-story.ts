/**
 * Random worlds for tests: fences of every kind, devices that drive, park and jump about them, and edits in between,
 * all decided by a seed. Many places lie on a grid of binary fractions, so that fixes meet corners and edges exactly.
 */
import type { FixRow, ReadingRow } from './test-data.ts';
import { boxRing, seededRandom, starRing } from './test-data.ts';
import type { Device, Edit, Fence, FenceShape, LonLat, Rule, Schedule } from './types.ts';

/** Edits, and the batch that follows them. */
export interface StoryStep {
  readonly edits: readonly Edit[];
  readonly fixes: readonly FixRow[];
  readonly readings: readonly ReadingRow[];
  readonly nowMs: number;
}

export interface Story {
  readonly deviceIds: readonly number[];
  readonly steps: readonly StoryStep[];
}

const GRID_DEG = 1 / 512;
const SPAN_CELLS = 16;
const METRE_DEG = 1 / 111_195;
const MINUTE_MS = 60_000;
const ORIGINS: readonly LonLat[] = [
  [8, 50],
  [180 - (SPAN_CELLS / 2) * GRID_DEG, -17],
  [-180, 66],
  [0, 0],
  [-70.5, -33.25],
];
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'UTC'];
/** Among them nights on which clocks are changed. */
const STARTS = [
  '2026-03-28T20:00Z',
  '2026-03-08T03:00Z',
  '2026-10-25T00:00Z',
  '2026-04-04T10:00Z',
  '2026-06-15T06:00Z',
];
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7];

/** Draws from a seed; what it draws depends on the order of the asking. */
export class Dice {
  readonly unit: () => number;

  constructor(seed: number) {
    this.unit = seededRandom(seed);
  }

  between(min: number, max: number): number {
    return min + this.unit() * (max - min);
  }

  whole(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.unit() * list.length)]!;
  }
}

/** Everything that happens to a few devices in some hours. */
export function randomStory(seed: number, { fixesMax = 50, stillness = 0.3 } = {}): Story {
  return new StoryMaker(new Dice(seed), stillness).make(fixesMax);
}

class StoryMaker {
  private readonly dice: Dice;
  private readonly stillness: number;
  private readonly origin: LonLat;
  private readonly startMs: number;
  private readonly hasClock: boolean;
  private readonly fences = new Map<number, Fence>();
  private readonly rules = new Map<number, Rule>();
  private readonly devices = new Map<number, Device>();
  private version = 1;

  constructor(dice: Dice, stillness: number) {
    this.dice = dice;
    this.stillness = stillness;
    this.origin = dice.pick(ORIGINS);
    this.startMs = Date.parse(dice.pick(STARTS));
    this.hasClock = dice.chance(0.8);
  }

  make(fixesMax: number): Story {
    const { dice } = this;
    const edits: Edit[] = [];
    for (let id = 1; id <= dice.whole(3, 9); id++) edits.push(this.putFence(this.newFence(id)));
    for (let id = 1; id <= dice.whole(0, 3); id++) edits.push(this.putRule(id));
    for (let id = 1; id <= dice.whole(1, 3); id++) edits.push(this.putDevice(id));
    const deviceIds = [...this.devices.keys()];
    const rows = deviceIds.flatMap((id) => this.walk(id, dice.whole(5, fixesMax)));
    // As they come in: by time, but for some that are held up.
    const arrivals = rows
      .map((row) => ({ row, atMs: row.timeMs + (dice.chance(0.1) ? dice.between(0, 3e6) : 0) }))
      .sort((a, b) => a.atMs - b.atMs);
    const steps: StoryStep[] = [];
    let nowMs = this.startMs;
    for (let from = 0; from < arrivals.length;) {
      const size = dice.chance(0.3) ? dice.whole(1, 40) : dice.whole(0, 4);
      const some = arrivals.slice(from, (from += size));
      nowMs = Math.max(nowMs, some.at(-1)?.atMs ?? 0);
      if (dice.chance(0.1)) nowMs += dice.whole(0, 40) * MINUTE_MS;
      steps.push({
        edits: steps.length === 0 ? edits : this.someEdits(),
        fixes: this.repeated(some.map(({ row }) => row)),
        readings: this.readingsOf(some.map(({ row }) => row)),
        nowMs: this.hasClock ? nowMs : NaN,
      });
    }
    return { deviceIds, steps };
  }

  private repeated(rows: readonly FixRow[]): FixRow[] {
    if (this.dice.chance(0.05)) return rows.toReversed();
    return this.dice.chance(0.05) ? [...rows, ...rows] : [...rows];
  }

  private readingsOf(rows: readonly FixRow[]): ReadingRow[] {
    const { dice } = this;
    return rows
      .filter(() => dice.chance(0.2))
      .map(({ deviceId, timeMs }) => {
        return {
          deviceId,
          timeMs,
          metricCode: dice.pick(['temp', 'fuel']),
          value: dice.whole(0, 10),
        };
      });
  }

  /** A device's fixes, at times that mostly ascend. */
  private walk(deviceId: number, count: number): FixRow[] {
    const { dice } = this;
    const rows: FixRow[] = [];
    let timeMs = this.startMs + dice.whole(0, 60) * MINUTE_MS;
    let [lonDeg, latDeg] = this.somewhere();
    let headingRad = 0;
    let paceM = 0;
    for (let left = 0, phase = 'park'; rows.length < count; left--) {
      if (left <= 0) {
        phase = dice.chance(this.stillness) ? 'park' : dice.pick(['drive', 'jump', 'hover']);
        left = dice.whole(2, 12);
        if (phase === 'jump' || dice.chance(0.2)) [lonDeg, latDeg] = this.somewhere();
        headingRad = dice.between(0, 2 * Math.PI);
        paceM = dice.between(20, 900);
      }
      timeMs += dice.pick([1_000, 5_000, 10_000, 30_000, MINUTE_MS, 10 * MINUTE_MS]);
      if (phase === 'drive') {
        // Mostly straight ahead, at much the same speed.
        headingRad += dice.chance(0.2) ? dice.between(-2, 2) : dice.between(-0.1, 0.1);
        const stepM = paceM * dice.between(0.9, 1.1);
        lonDeg += stepM * Math.cos(headingRad) * METRE_DEG;
        latDeg += stepM * Math.sin(headingRad) * METRE_DEG;
      } else if (phase !== 'park') [lonDeg, latDeg] = this.somewhere();
      const jitterM = phase === 'park' ? dice.pick([0, 1, 15]) : 0;
      rows.push({
        deviceId,
        timeMs: dice.chance(0.03) ? timeMs - dice.pick([0, 1_000, 10_000]) : timeMs,
        lonDeg: dice.chance(0.01) ? NaN : lonDeg + dice.between(-1, 1) * jitterM * METRE_DEG,
        latDeg: latDeg + dice.between(-1, 1) * jitterM * METRE_DEG,
        accuracyM: dice.chance(0.15) ? dice.pick([30.1, 31, 100, 101, 5_000]) : dice.pick([5, NaN]),
        speedMps: dice.chance(0.2) ? NaN : dice.whole(0, 40),
        ignition: dice.pick([0, 1, NaN]),
        motion: dice.pick([0, 1, NaN]),
      });
    }
    return rows;
  }

  /** On the grid, or anywhere. */
  private somewhere(): LonLat {
    const { dice, origin } = this;
    const cells = (): number => {
      return dice.chance(0.5) ? dice.whole(0, SPAN_CELLS) : dice.between(0, SPAN_CELLS);
    };
    return [origin[0] + cells() * GRID_DEG, origin[1] + cells() * GRID_DEG];
  }

  private onGrid(): LonLat {
    const { dice, origin } = this;
    const [west, south] = origin;
    return [
      west + dice.whole(0, SPAN_CELLS) * GRID_DEG,
      south + dice.whole(0, SPAN_CELLS) * GRID_DEG,
    ];
  }

  private newFence(fenceId: number): Fence {
    const { dice } = this;
    return {
      fenceId,
      version: this.version++,
      tenantId: dice.chance(0.95) ? 1 : 2,
      accountId: dice.pick([null, null, null, 11, 12]),
      name: `fence ${fenceId}.${this.version}`,
      shape: this.newShape(),
      exitBufferM: dice.pick([0, 0, 15, 300]),
      enterFixCount: dice.pick([1, 1, 2, 3]),
      exitFixCount: dice.pick([1, 2, 2, 3]),
      accuracyMMax: dice.pick([null, 30.1, 100]),
      dwellMs: dice.pick([null, MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS]),
      crossGapMsMax: dice.pick([0, MINUTE_MS, 10 * MINUTE_MS]),
      schedule: dice.chance(0.4) ? this.newSchedule() : null,
    };
  }

  private newSchedule(): Schedule {
    const { dice } = this;
    const windows = Array.from({ length: dice.whole(1, 8) }, () => {
      const startMin = 15 * dice.whole(0, 95);
      const endMin = ((startMin + 15 * dice.whole(1, dice.pick([4, 30])) - 1) % 1_440) + 1;
      const days = dice.chance(0.7) ? EVERY_DAY : EVERY_DAY.filter(() => dice.chance(0.6));
      return { days: days.length === 0 ? [7] : days, startMin, endMin };
    });
    return { timeZone: dice.pick(ZONES), windows };
  }

  private newShape(): FenceShape {
    const { dice } = this;
    const at = this.onGrid();
    const kind = dice.whole(0, 5);
    if (kind === 0) {
      const radiusM = dice.pick([30, 400, 2_500]);
      return { type: 'circle', centerLonDeg: at[0], centerLatDeg: at[1], radiusM };
    }
    if (kind === 1) {
      const line = [at];
      for (let left = dice.whole(1, 20); left > 0; left--) {
        const [lonDeg, latDeg] = line.at(-1)!;
        line.push([
          lonDeg + dice.whole(-6, 6) * GRID_DEG,
          latDeg + dice.pick([-5, -3, 1, 4]) * GRID_DEG,
        ]);
      }
      return { type: 'corridor', line, widthM: dice.pick([20, 250, 1_500]) };
    }
    if (kind === 2) {
      const radiusDeg = dice.between(2, 12) * GRID_DEG;
      const outer = starRing(dice.unit, at, radiusDeg, dice.whole(5, 70));
      const hole = starRing(dice.unit, at, radiusDeg * 0.25, dice.whole(3, 9));
      return { type: 'polygon', polygons: [dice.chance(0.5) ? [outer, hole] : [outer]] };
    }
    const boxes = Array.from({ length: kind === 3 ? 2 : 1 }, () => this.newBox());
    return { type: 'polygon', polygons: boxes };
  }

  private newBox(): LonLat[][] {
    const { dice } = this;
    const [west, south] = this.onGrid();
    const width = dice.whole(1, 10);
    const height = dice.whole(1, 10);
    const corner = (x: number, y: number): LonLat => [west + x * GRID_DEG, south + y * GRID_DEG];
    const rings = [boxRing(...corner(0, 0), ...corner(width, height))];
    if (width > 2 && height > 2 && dice.chance(0.5)) {
      rings.push(boxRing(...corner(1, 1), ...corner(width - 1, height - 1)).reverse());
    }
    return rings;
  }

  private someEdits(): Edit[] {
    const { dice } = this;
    // What edits end waits for a batch that has a clock.
    if (!this.hasClock || !dice.chance(0.25)) return [];
    return Array.from({ length: dice.whole(1, 3) }, () => this.someEdit());
  }

  private someEdit(): Edit {
    const { dice } = this;
    const deviceId = dice.pick([...this.devices.keys()]);
    switch (dice.whole(0, 9)) {
      case 0:
        return dice.chance(0.5) ? { type: 'device_delete', deviceId } : this.putRule(1);
      case 1:
      case 2:
        return this.putDevice(deviceId);
      case 3:
        return { type: 'device_put', device: this.devices.get(deviceId)! };
      case 4:
        return this.putRule(dice.whole(1, 4));
      case 5:
        return { type: 'rule_delete', ruleId: dice.whole(1, 4) };
      case 6:
        return { type: 'fence_delete', fenceId: dice.pick([...this.fences.keys()]) };
      case 7:
        return this.putFence(this.newFence(dice.whole(1, 12)));
      default:
        return this.putFence(this.changed(dice.pick([...this.fences.values()])));
    }
  }

  /** The fence with one thing about it changed, or nothing but its version. */
  private changed(fence: Fence): Fence {
    const fresh = this.newFence(fence.fenceId);
    const version = fresh.version;
    const changes: readonly Partial<Fence>[] = [
      {},
      { name: fresh.name },
      { shape: fresh.shape },
      { schedule: fresh.schedule },
      { accountId: fresh.accountId },
      { tenantId: 3 - fence.tenantId },
      { dwellMs: fresh.dwellMs, exitBufferM: fresh.exitBufferM },
      { enterFixCount: fresh.enterFixCount, exitFixCount: fresh.exitFixCount },
      { accuracyMMax: fresh.accuracyMMax, crossGapMsMax: fresh.crossGapMsMax },
    ];
    return { ...fence, ...this.dice.pick(changes), version };
  }

  private putFence(fence: Fence): Edit {
    this.fences.set(fence.fenceId, fence);
    return { type: 'fence_put', fence };
  }

  private putDevice(deviceId: number): Edit {
    const { dice } = this;
    const device = {
      deviceId,
      tenantId: dice.chance(0.85) ? 1 : 2,
      accountId: dice.pick([11, 11, 12, null]),
      equipmentId: dice.chance(0.9) ? deviceId : 50 + deviceId,
    };
    this.devices.set(deviceId, device);
    return { type: 'device_put', device };
  }

  private putRule(ruleId: number): Edit {
    const { dice } = this;
    let rule: Rule = {
      ruleId,
      version: this.version++,
      tenantId: 1,
      accountId: dice.pick([null, null, 11]),
      equipmentId: dice.pick([null, null, 1]),
      name: `rule ${ruleId}`,
      metricCode: dice.pick(['speed_mps', 'accuracy_m', 'ignition', 'motion', 'temp', 'fuel']),
      operator: dice.pick(['>', '>=', '<', '<=', '=', '!=', 'between', 'outside']),
      value: dice.pick([0, 1, 5, 20]),
      valueHigh: dice.pick([null, 8, 30]),
      clearValue: dice.pick([null, 4, 10]),
      holdMs: dice.pick([0, MINUTE_MS]),
      severity: 'warning',
    };
    const before = this.rules.get(ruleId);
    if (before !== undefined && dice.chance(0.7)) {
      const { version, value } = rule;
      rule = { ...before, version, value };
    }
    this.rules.set(ruleId, rule);
    return { type: 'rule_put', rule };
  }
}
