// What the emulator does wrong on purpose, and its count of calls: how tests see throttling, outages and latency
// without AWS, and how they prove how many KMS calls the operator made.
import { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import { AwsError } from "./aws-error.ts";

const faultsSchema = z.strictObject({
  /** Added to every answer, the failing ones too. */
  latencyMs: z.number().min(0).max(600_000).optional(),
  /** true: everything is throttled. A number: so many calls a second (and as a burst) are let through. */
  throttle: z.union([z.boolean(), z.number().min(0)]).optional(),
  /** error: HTTP 500 KMSInternalException. reset: the connection breaks. hang: no answer ever. */
  outage: z.enum(["error", "reset", "hang"]).optional(),
  /** AccessDeniedException to everything. */
  accessDenied: z.boolean().optional(),
  /** Only these operations ("Decrypt"); absent: all. */
  operations: z.array(z.string()).optional(),
  /** Only these regions ("eu-west-1"), as requests are signed for; absent: all. */
  regions: z.array(z.string()).optional(),
  /** Ends by itself after so many affected calls. */
  times: z.number().int().min(1).optional(),
});

/** The body of `POST /_admin/faults`; `{}` ends all faults. */
export type FaultSettings = z.infer<typeof faultsSchema>;

/** The answer of `GET /_admin/calls`. */
export interface CallCounts {
  readonly total: number;
  /** Calls that arrived, by operation, whatever came of them. */
  readonly operations: Readonly<Record<string, number>>;
  /** Errors answered, by AWS's name of the error; "reset" and "hang" for calls that got no answer. */
  readonly errors: Readonly<Record<string, number>>;
  /** The most calls that were under way at once. */
  readonly peakInFlight: number;
}

/** What happens to one call. */
export interface Verdict {
  readonly latencyMs: number;
  /** undefined: it is carried out. */
  readonly failure: AwsError | "reset" | "hang" | undefined;
}

const noFault: Verdict = { latencyMs: 0, failure: undefined };

/** The faults of the moment. */
export class Faults {
  readonly #clock: Clock;
  #settings: FaultSettings = {};
  #remaining = Number.POSITIVE_INFINITY;
  #allowance = 0;
  #refilledAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Replaces all faults.
   * @throws z.ZodError when `settings` is not a FaultSettings
   */
  set(settings: unknown): FaultSettings {
    this.#settings = faultsSchema.parse(settings);
    this.#remaining = this.#settings.times ?? Number.POSITIVE_INFINITY;
    this.#allowance = typeof this.#settings.throttle === "number" ? this.#settings.throttle : 0;
    this.#refilledAt = this.#clock.monotonic();
    return this.#settings;
  }

  /** Decides about the next call of an operation in a region. */
  judge(operation: string, region: string): Verdict {
    const { operations, regions, latencyMs = 0 } = this.#settings;
    const isMeant = (operations?.includes(operation) ?? true) && (regions?.includes(region) ?? true);
    if (this.#remaining <= 0 || !isMeant) return noFault;
    const failure = this.#failure();
    if (failure !== undefined || latencyMs > 0) this.#remaining -= 1;
    return { latencyMs, failure };
  }

  #failure(): Verdict["failure"] {
    const { outage, throttle, accessDenied } = this.#settings;
    if (outage === "error") return new AwsError("KMSInternalException", "outage set at the admin route");
    if (outage !== undefined) return outage;
    if (this.#throttled(throttle)) return new AwsError("ThrottlingException", "Rate exceeded");
    if (accessDenied === true) {
      return new AwsError("AccessDeniedException", "User is not authorized to perform this action (admin route)");
    }
    return undefined;
  }

  /** A token bucket that holds one second's worth. */
  #throttled(throttle: boolean | number | undefined): boolean {
    if (typeof throttle !== "number") return throttle === true;
    const now = this.#clock.monotonic();
    this.#allowance = Math.min(throttle, this.#allowance + ((now - this.#refilledAt) / 1000) * throttle);
    this.#refilledAt = now;
    if (this.#allowance < 1) return true;
    this.#allowance -= 1;
    return false;
  }
}

/** Counts calls from arrival to answer. */
export class CallCounter {
  #operations = new Map<string, number>();
  #errors = new Map<string, number>();
  #inFlight = 0;
  #peak = 0;

  arrived(operation: string): void {
    this.#operations.set(operation, (this.#operations.get(operation) ?? 0) + 1);
    this.#inFlight += 1;
    this.#peak = Math.max(this.#peak, this.#inFlight);
  }

  /** @param error AWS's name of the error, or "reset" or "hang"; undefined for a success */
  ended(error: string | undefined): void {
    this.#inFlight -= 1;
    if (error !== undefined) this.#errors.set(error, (this.#errors.get(error) ?? 0) + 1);
  }

  counts(): CallCounts {
    let total = 0;
    for (const count of this.#operations.values()) total += count;
    return {
      total,
      operations: Object.fromEntries(this.#operations),
      errors: Object.fromEntries(this.#errors),
      peakInFlight: this.#peak,
    };
  }

  /** Forgets what was counted; calls under way stay under way. */
  reset(): void {
    this.#operations = new Map();
    this.#errors = new Map();
    this.#peak = this.#inFlight;
  }
}
