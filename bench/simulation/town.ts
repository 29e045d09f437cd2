/**
 * The ground on which vehicles drive: places, the fences about them, whose vehicles and fences are, and all that
 * people change about that in the course of months. Decided by a seed; knows no engine.
 */
import { boxRing, starRing } from '../../engine/test-data.ts';
import type {
  Device,
  Edit,
  Fence,
  FenceShape,
  LonLat,
  Rule,
  Schedule,
} from '../../engine/types.ts';
import { Random } from '../demo/random.ts';

export const DEGREE_M = 111_195;
const MINUTE_MS = 60_000;
/** One in four towns lies across the antimeridian. */
const CENTRES: readonly LonLat[] = [
  [8.25, 50],
  [179.97, -17.5],
  [-70.5, -33.25],
  [36.8, 0.02],
];
const REACH_M = 9_000;
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'UTC'];
const TENANTS = [1, 2];
const ACCOUNTS = [11, 12];
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7];
const WORKDAYS = [1, 2, 3, 4, 5];

export class Town {
  readonly places: readonly LonLat[];
  /** Everything that was ever told of, also what is deleted at the moment. */
  private readonly fences = new Map<number, Fence>();
  private readonly rules = new Map<number, Rule>();
  private readonly devices = new Map<number, Device>();
  private readonly away = new Set<number>();
  private readonly random: Random;
  private readonly centre: LonLat;
  private version = 0;

  constructor(seed: number, placeCount: number) {
    this.random = new Random(`${seed} town`);
    this.centre = this.random.pick(CENTRES);
    this.places = Array.from({ length: placeCount }, () => this.spot(REACH_M));
  }

  /** What is there on the first day. */
  begin(vehicles: number, fences: number): Edit[] {
    const edits: Edit[] = [];
    for (let id = 1; id <= fences; id++) edits.push(this.putFence(this.newFence(id)));
    for (let id = 1; id <= 2; id++) edits.push(this.putRule(this.newRule(id)));
    for (let id = 1; id <= vehicles; id++) edits.push(this.putDevice(id, TENANTS[id % 2] ?? 1));
    return edits;
  }

  /** What somebody changes at one moment: mostly one thing, sometimes several at once. */
  change(): Edit[] {
    const count = this.random.chance(0.7) ? 1 : this.random.whole(2, 5);
    return Array.from({ length: count }, () => this.changeOne());
  }

  private changeOne(): Edit {
    const { random } = this;
    const deviceId = random.whole(1, this.devices.size);
    if (random.chance(0.3)) return this.changeDevice(deviceId);
    if (random.chance(0.15)) {
      const rule = random.pick([...this.rules.values()]);
      if (random.chance(0.3)) return { type: 'rule_delete', ruleId: rule.ruleId };
      return this.putRule({ ...rule, version: ++this.version, value: random.whole(5, 25) });
    }
    const fence = random.pick([...this.fences.values()]);
    if (!this.away.has(fence.fenceId) && random.chance(0.25)) {
      this.away.add(fence.fenceId);
      return { type: 'fence_delete', fenceId: fence.fenceId };
    }
    return this.putFence(this.changedFence(fence));
  }

  private changeDevice(deviceId: number): Edit {
    const { random } = this;
    const device = this.devices.get(deviceId);
    if (random.chance(0.3)) return { type: 'device_delete', deviceId };
    const tenantId = random.chance(0.2) ? random.pick(TENANTS) : (device?.tenantId ?? 1);
    return this.putDevice(deviceId, tenantId);
  }

  /** With one thing about it changed, or nothing but its version. */
  private changedFence(fence: Fence): Fence {
    const fresh = this.newFence(fence.fenceId);
    const { version, shape, schedule, accountId, name, dwellMs, exitBufferM } = fresh;
    const { enterFixCount, exitFixCount, accuracyMMax, crossGapMsMax } = fresh;
    const changes: readonly Partial<Fence>[] = [
      {},
      { name },
      { shape },
      { shape },
      { schedule },
      { schedule },
      { accountId },
      { tenantId: 3 - fence.tenantId },
      { dwellMs, exitBufferM },
      { enterFixCount, exitFixCount },
      { accuracyMMax, crossGapMsMax },
    ];
    return { ...fence, ...this.random.pick(changes), version };
  }

  private newFence(fenceId: number): Fence {
    const { random } = this;
    const version = ++this.version;
    return {
      fenceId,
      version,
      tenantId: random.pick(TENANTS),
      accountId: random.pick([null, null, ...ACCOUNTS]),
      name: `fence ${fenceId} of ${version}`,
      shape: this.newShape(),
      exitBufferM: random.pick([0, 0, 25, 100]),
      enterFixCount: random.pick([1, 1, 2, 3]),
      exitFixCount: random.pick([1, 2, 2, 3]),
      accuracyMMax: random.pick([null, 50.1, 100]),
      dwellMs: random.pick([null, 5 * MINUTE_MS, 60 * MINUTE_MS, 600 * MINUTE_MS]),
      crossGapMsMax: random.pick([0, 2 * MINUTE_MS, 10 * MINUTE_MS]),
      schedule: random.chance(0.35) ? this.newSchedule() : null,
    };
  }

  private newSchedule(): Schedule {
    const { random } = this;
    const windows = Array.from({ length: random.whole(1, 3) }, () => {
      const startMin = 30 * random.whole(0, 47);
      const endMin = ((startMin + 30 * random.whole(1, 24) - 1) % 1_440) + 1;
      return { days: random.pick([EVERY_DAY, WORKDAYS, [6, 7]]), startMin, endMin };
    });
    return { timeZone: random.pick(ZONES), windows };
  }

  /** About a place, which may lie on its edge; or along the way between two; or a whole district. */
  private newShape(): FenceShape {
    const { random } = this;
    const place = random.pick(this.places);
    const at = random.chance(0.3) ? place : this.beside(place, 400);
    const kind = random.whole(0, 4);
    if (kind === 0) {
      const radiusM = random.pick([60, 250, 900]);
      return { type: 'circle', centerLonDeg: at[0], centerLatDeg: at[1], radiusM };
    }
    if (kind === 1) {
      const line = [place, this.spot(REACH_M), random.pick(this.places), this.spot(REACH_M)];
      const widthM = random.pick([60, 250, 800]);
      return { type: 'corridor', line: line.slice(0, random.whole(2, 4)), widthM };
    }
    if (kind === 2) {
      const radiusDeg = random.pick([300, 1_500, 5_000]) / DEGREE_M;
      const outer = starRing(() => random.unit(), at, radiusDeg, random.whole(6, 60));
      const hole = starRing(() => random.unit(), at, radiusDeg * 0.2, 7);
      return { type: 'polygon', polygons: [random.chance(0.5) ? [outer, hole] : [outer]] };
    }
    const halfDeg = random.pick([80, 400, 3_000]) / DEGREE_M;
    // Its west edge runs through the place.
    const [west, south] = random.chance(0.4) ? [place[0], place[1] - halfDeg] : at;
    const box = boxRing(west, south, west + 2 * halfDeg, south + 2 * halfDeg);
    return { type: 'polygon', polygons: [[box]] };
  }

  private newRule(ruleId: number): Rule {
    return {
      ruleId,
      version: ++this.version,
      tenantId: ruleId === 1 ? 1 : 2,
      accountId: null,
      equipmentId: null,
      name: `rule ${ruleId}`,
      metricCode: ruleId === 1 ? 'speed_mps' : 'temperature_c',
      operator: '>',
      value: 18,
      valueHigh: null,
      clearValue: 15,
      holdMs: ruleId === 1 ? 0 : 10 * MINUTE_MS,
      severity: 'warning',
    };
  }

  private putFence(fence: Fence): Edit {
    this.away.delete(fence.fenceId);
    this.fences.set(fence.fenceId, fence);
    return { type: 'fence_put', fence };
  }

  private putRule(rule: Rule): Edit {
    this.rules.set(rule.ruleId, rule);
    return { type: 'rule_put', rule };
  }

  private putDevice(deviceId: number, tenantId: number): Edit {
    const accountId = this.random.pick([...ACCOUNTS, null]);
    const device = { deviceId, tenantId, accountId, equipmentId: 100 + deviceId };
    this.devices.set(deviceId, device);
    return { type: 'device_put', device };
  }

  private spot(reachM: number): LonLat {
    return this.beside(this.centre, reachM);
  }

  private beside([lonDeg, latDeg]: LonLat, reachM: number): LonLat {
    const { random } = this;
    const reachDeg = reachM / DEGREE_M;
    return [lonDeg + random.between(-1, 1) * reachDeg, latDeg + random.between(-1, 1) * reachDeg];
  }
}
