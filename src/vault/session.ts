// One session: one token for one identity, from its login to its end. However many objects use it, there is a single
// login in flight; it is renewed before it expires; a login that fails backs off alone and fails fast meanwhile.
import type { Clock, Timer } from "../base/clock.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Backoff, backoffDelay } from "../base/retry.ts";
import { type Grant, grantOf, type Login, type LoginDoor } from "./auth/login.ts";
import { lookupSelf } from "./auth/lookup.ts";

export interface SessionOptions {
  readonly door: LoginDoor;
  readonly login: Login;
  /** For the log: the method, such as `k8s`. */
  readonly method: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: () => number;
}

interface Active {
  readonly grant: Grant;
  /** Monotonic, ms. Infinity: it does not expire. */
  readonly expiresAt: number;
  /** What the login gave, to see when renewals come to the token's maximum. */
  readonly fullTtlMs: number;
}

interface Failure {
  readonly error: OperatorError;
  readonly attempts: number;
  /** Monotonic, ms: until then the error is given without asking. */
  readonly until: number;
}

/** Wrong credentials are put right by people; a Vault that is down comes back by itself. */
const refusedBackoff: Backoff = { baseMs: 1_000, maxMs: 60_000 };
const unreachableBackoff: Backoff = { baseMs: 500, maxMs: 5_000 };
const renewalBackoff: Backoff = { baseMs: 1_000, maxMs: 30_000 };
/** A token shown to be alive is believed alive for so long: a burst of refusals is one look-up. */
const aliveMs = 5_000;
/** Two logins because Vault did not know our token are never closer, so that no misjudgement becomes a loop. */
const betweenReplacementsMs = 10_000;
/** Node's timers end at 24.8 days; renewing earlier is harmless. */
const longestTimerMs = 20 * 24 * 3_600_000;

export class Session {
  readonly #options: SessionOptions;
  #active: Active | undefined;
  #loggingIn: Promise<Active> | undefined;
  #failure: Failure | undefined;
  #timer: Timer | undefined;
  #lookingUp: Promise<boolean> | undefined;
  #aliveUntil = Number.NEGATIVE_INFINITY;
  #replacedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * The token to use now; logs in when there is none.
   * @throws OperatorError `VaultLoginFailed`, `VaultUnavailable` or `VaultSealed`; the same one again, without asking
   *   Vault, until the backoff of a failed login is over
   */
  async token(): Promise<string> {
    const now = this.#options.clock.monotonic();
    if (this.#active !== undefined && now < this.#active.expiresAt) return this.#active.grant.token;
    if (this.#failure !== undefined && now < this.#failure.until) throw this.#failure.error;
    this.#loggingIn ??= this.#logIn().finally(() => {
      this.#loggingIn = undefined;
    });
    return (await this.#loggingIn).grant.token;
  }

  /**
   * To be asked when Vault answered 403 to a request with `token`.
   * @returns true when that was because Vault does not know the token any more, and asking again with `token()` may
   *   help; false when the token lives and the refusal is meant
   */
  async isReplaced(token: string): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#active?.grant.token !== token) return true;
    if (clock.monotonic() < this.#aliveUntil) return false;
    this.#lookingUp ??= this.#isDead(token).finally(() => {
      this.#lookingUp = undefined;
    });
    return this.#lookingUp;
  }

  /** Stops renewing and revokes the token if our own login made it; never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    // A login in flight makes a token too. What it fails with was told to whoever waits for it.
    await this.#loggingIn?.catch(() => undefined);
    this.#timer?.cancel();
    const active = this.#active;
    this.#active = undefined;
    if (active === undefined || !active.grant.own || this.#options.clock.monotonic() >= active.expiresAt) return;
    const { door, logger, method } = this.#options;
    const { token } = active.grant;
    try {
      const { namespace } = door;
      const path = "auth/token/revoke-self";
      const { status } = await door.transport.send({ method: "POST", path, namespace, token });
      // Batch tokens cannot be revoked, and a policy may forbid it.
      if (status >= 400) logger.debug({ method, status }, "Vault does not revoke our token, it expires by itself");
    } catch (error) {
      logger.warn({ method, error }, "token not revoked at stop, it expires by itself");
    }
  }

  async #isDead(token: string): Promise<boolean> {
    const { door, clock, logger, method } = this.#options;
    const { state } = await lookupSelf(door, token);
    const now = clock.monotonic();
    if (state === "alive") this.#aliveUntil = now + aliveMs;
    if (state === "alive" || now - this.#replacedAt < betweenReplacementsMs) return false;
    logger.warn({ method, namespace: door.namespace }, "Vault does not know our token any more, logging in again");
    this.#replacedAt = now;
    if (this.#active?.grant.token === token) this.#drop();
    return true;
  }

  async #logIn(): Promise<Active> {
    if (this.#closed) throw new OperatorError("VaultUnavailable", "the operator is stopping and logs in no more");
    const { door, login, clock, logger, method } = this.#options;
    const started = clock.monotonic();
    try {
      const grant = await login(door);
      this.#failure = undefined;
      logger.info({ method, namespace: door.namespace, ttlMs: grant.ttlMs, renewable: grant.renewable }, "logged in");
      return this.#activate(grant, started, grant.ttlMs ?? Number.POSITIVE_INFINITY);
    } catch (error) {
      this.#failure = this.#failureAfter(asOperatorError(error));
      logger.warn({ method, namespace: door.namespace, error }, "login failed");
      throw this.#failure.error;
    }
  }

  #failureAfter(error: OperatorError): Failure {
    const { clock, random } = this.#options;
    const attempts = (this.#failure?.attempts ?? 0) + 1;
    const backoff = error.code === "VaultLoginFailed" ? refusedBackoff : unreachableBackoff;
    return { error, attempts, until: clock.monotonic() + backoffDelay(attempts - 1, backoff, random) };
  }

  #activate(grant: Grant, started: number, fullTtlMs: number): Active {
    // A token of ours is replaced a little before its end, so that no request finds it just expired.
    const ttlMs = grant.ttlMs ?? Number.POSITIVE_INFINITY;
    const margin = grant.own && grant.ttlMs !== undefined ? Math.min(5_000, ttlMs / 10) : 0;
    const active = { grant, expiresAt: started + ttlMs - margin, fullTtlMs };
    this.#active = active;
    this.#timer?.cancel();
    // Near the token's maximum Vault grants less and less: then the next request after its end logs in anew.
    if (grant.renewable && grant.ttlMs !== undefined && ttlMs >= fullTtlMs / 2) {
      const { random = Math.random } = this.#options;
      this.#renewAfter(Math.min(longestTimerMs, ttlMs * (2 / 3) * (0.9 + 0.1 * random())), active, 0);
    }
    return active;
  }

  #renewAfter(ms: number, active: Active, attempt: number): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(ms, () => {
      // #renew never rejects.
      void this.#renew(active, attempt);
    });
  }

  async #renew(active: Active, attempt: number): Promise<void> {
    const { door, clock, logger, method, random } = this.#options;
    const started = clock.monotonic();
    const { token, own } = active.grant;
    try {
      const { namespace } = door;
      const answer = await door.transport.send({ method: "POST", path: "auth/token/renew-self", namespace, token });
      if (this.#active !== active || this.#closed) return;
      const grant = answer.status < 400 ? grantOf(answer) : undefined;
      if (grant !== undefined) this.#activate({ ...grant, token, own }, started, active.fullTtlMs);
      else logger.warn({ method, namespace, status: answer.status }, "Vault does not renew our token, it is used up");
    } catch (error) {
      if (this.#active !== active || this.#closed) return;
      logger.warn({ method, namespace: door.namespace, error }, "renewing our token failed");
      const delay = backoffDelay(attempt, renewalBackoff, random);
      if (started + delay < active.expiresAt) this.#renewAfter(delay, active, attempt + 1);
    }
  }

  #drop(): void {
    this.#active = undefined;
    this.#timer?.cancel();
  }
}
