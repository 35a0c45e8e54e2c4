// One session: one token for one identity, from its login to its end. However many objects use it, there is a single
// login in flight; it is renewed, or replaced by another login, before it is over; a login that fails backs off alone,
// fails fast meanwhile, and takes nothing from a token that still works.
import type { Clock, Timer } from "../base/clock.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Backoff, backoffDelay } from "../base/retry.ts";
import { type Grant, grantOf, type Login, type LoginDoor } from "./auth/login.ts";
import { lookupSelf } from "./auth/lookup.ts";
import { type TokenLife, tokenLife } from "./token-life.ts";
import type { VaultMetrics } from "./transport.ts";

export interface SessionOptions {
  readonly door: LoginDoor;
  readonly login: Login;
  /** Who logs in, for the log: the method, and the service account if it is one's. */
  readonly who: { readonly method: string };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Pick<VaultMetrics, "loginDone"> | undefined;
  readonly random?: () => number;
}

interface Active {
  readonly grant: Grant;
  life: TokenLife;
  /** The most that Vault granted this token, to see when renewals come to its maximum. */
  readonly fullTtlMs: number;
  /** Requests that it is still good for; Infinity without a limit, and for tokens that nothing could replace. */
  usesLeft: number;
  /** Somebody put another in its place at its source. */
  outdated: boolean;
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
/** A login that can be taken away is asked about so often, however long its tokens live. */
const betweenQuestionsMs = 3_600_000;
/** How often it is looked whether a token's file holds another. */
const betweenLooksMs = 10_000;
/** A login may wait where no time-out of ours holds: at a cloud's token service, or at the API server. */
const loginWithinMs = 60_000;

export class Session {
  readonly #options: SessionOptions;
  #active: Active | undefined;
  #loggingIn: Promise<Active> | undefined;
  #failure: Failure | undefined;
  #timer: Timer | undefined;
  #lookingUp: Promise<boolean> | undefined;
  #aliveUntil = Number.NEGATIVE_INFINITY;
  #replacedAt = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #revoking = new Set<Promise<void>>();
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * The token to use now, for one request; logs in when there is none.
   * @throws OperatorError `VaultLoginFailed`, `VaultUnavailable` or `VaultSealed`; the same one again, without asking
   *   Vault, until the backoff of a failed login is over
   */
  async token(): Promise<string> {
    await this.#lookAtSource();
    for (;;) {
      const active = await this.#usable();
      // Of those who waited for the same login some may find its uses taken.
      if (active.usesLeft < 1) continue;
      active.usesLeft -= 1;
      return active.grant.token;
    }
  }

  /**
   * To be asked when Vault answered 403 to a request with `token`.
   * @returns true when that was because Vault does not know the token any more, and asking again with `token()` may
   *   help; false when the token lives and the refusal is meant
   */
  async isReplaced(token: string): Promise<boolean> {
    const active = this.#active;
    if (active?.grant.token !== token) return true;
    if (this.#options.clock.monotonic() < this.#aliveUntil) return false;
    this.#lookingUp ??= this.#isDead(active).finally(() => {
      this.#lookingUp = undefined;
    });
    return this.#lookingUp;
  }

  /** Stops renewing and revokes the token if our own login made it; never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    // A login in flight makes a token too. What it fails with was told to whoever waits for it.
    await this.#loggingIn?.catch(() => undefined);
    this.#drop();
    await Promise.all(this.#revoking);
  }

  /** The token in use, or the one of a new login where that is better. */
  async #usable(): Promise<Active> {
    const now = this.#options.clock.monotonic();
    const active = this.#active;
    if (active !== undefined && now < active.life.replaceAt && active.usesLeft > 0 && !active.outdated) return active;
    try {
      if (this.#failure !== undefined && now < this.#failure.until) throw this.#failure.error;
      this.#loggingIn ??= this.#logIn().finally(() => {
        this.#loggingIn = undefined;
      });
      return await this.#loggingIn;
    } catch (error) {
      const still = this.#active;
      if (still !== undefined && still.usesLeft > 0 && this.#options.clock.monotonic() < still.life.expiresAt)
        return still;
      throw error;
    }
  }

  async #logIn(): Promise<Active> {
    if (this.#closed) {
      throw new OperatorError(
        "VaultUnavailable",
        "this login to Vault has ended: the operator stops, or nothing uses it",
      );
    }
    const { door, login, clock, logger, metrics, who } = this.#options;
    const started = clock.monotonic();
    try {
      const grant = await this.#logInWithin();
      metrics?.loginDone(who.method, "ok");
      const { ttlMs, renewable, uses, own } = grant;
      logger.info({ ...who, namespace: door.namespace, ttlMs, renewable, uses }, "logged in");
      if (!own && uses !== undefined) {
        logger.warn(
          { ...who, uses },
          "the token given to us is good for few requests only; give one without a use limit",
        );
      }
      this.#failure = undefined;
      this.#lookedAt = clock.monotonic();
      // What was in use until now: requests under way with it come back for the new one.
      if (this.#active?.grant.token !== grant.token) this.#drop();
      return this.#activate(grant, started, grant.ttlMs ?? 0);
    } catch (error) {
      this.#fail(asOperatorError(error));
      metrics?.loginDone(who.method, asOperatorError(error).code);
      logger.warn({ ...who, namespace: door.namespace, error }, "login failed");
      // Who may not log in any more may not go on with what is left of the last login either.
      if (this.#active !== undefined && (await login.refusal?.()) !== undefined) this.#drop();
      throw error;
    }
  }

  async #logInWithin(): Promise<Grant> {
    const { door, login, clock } = this.#options;
    const late = Promise.withResolvers<never>();
    const attempt = login.logIn(door);
    const timer = clock.after(loginWithinMs, () => {
      const seconds = loginWithinMs / 1_000;
      const text = `the login to Vault did not end within ${seconds} s: check Vault, and what vouches for the login (the API server, a cloud's token service)`;
      late.reject(new OperatorError("VaultUnavailable", text));
      // A token that comes after all is nobody's. What the attempt fails with instead has been told by then.
      attempt.then(({ token, revocable }) => (revocable ? this.#revoke(token) : undefined)).catch(() => undefined);
    });
    try {
      return await Promise.race([attempt, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #fail(error: OperatorError): void {
    const { clock, random } = this.#options;
    const attempts = (this.#failure?.attempts ?? 0) + 1;
    const backoff = error.code === "VaultLoginFailed" ? refusedBackoff : unreachableBackoff;
    this.#failure = { error, attempts, until: clock.monotonic() + backoffDelay(attempts - 1, backoff, random) };
  }

  #activate(grant: Grant, since: number, fullTtlMs: number): Active {
    const { random = Math.random } = this.#options;
    const active: Active = {
      grant,
      life: tokenLife(grant, { since, fullTtlMs, random: random() }),
      fullTtlMs,
      usesLeft: grant.own ? Math.max(1, grant.uses ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
      outdated: false,
    };
    this.#timer?.cancel();
    this.#active = active;
    this.#wakeFor(active);
    return active;
  }

  /** Sets the timer for the next renewal, or for the next question whether the login is still allowed. */
  #wakeFor(active: Active): void {
    const { clock, login } = this.#options;
    const question = login.refusal === undefined ? Number.POSITIVE_INFINITY : betweenQuestionsMs;
    const ms = Math.min(active.life.renewAt - clock.monotonic(), question);
    if (ms !== Number.POSITIVE_INFINITY) this.#renewAfter(ms, active, 0);
  }

  #renewAfter(ms: number, active: Active, attempt: number): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(ms, () => {
      // #renew never rejects.
      void this.#renew(active, attempt);
    });
  }

  async #renew(active: Active, attempt: number): Promise<void> {
    const { door, login, clock, logger, who, random } = this.#options;
    const { transport, namespace } = door;
    const { token } = active.grant;
    const isOver = () => this.#active !== active || this.#closed;
    let started = clock.monotonic();
    try {
      const refusal = await login.refusal?.();
      if (isOver()) return;
      if (refusal !== undefined) {
        logger.warn({ ...who, namespace, error: refusal }, "login not allowed any more, revoking its token");
        this.#fail(refusal);
        this.#drop();
        return;
      }
      if (active.life.renewAt === Number.POSITIVE_INFINITY) {
        this.#wakeFor(active);
        return;
      }
      started = clock.monotonic();
      const answer = await transport.send({ method: "POST", path: "auth/token/renew-self", namespace, token });
      if (isOver()) return;
      const grant = answer.status < 400 ? grantOf(answer) : undefined;
      // No time to live is what Vault says of a token that ends within the second, too.
      if (grant?.ttlMs !== undefined) {
        const { ttlMs, renewable } = grant;
        this.#activate({ ...active.grant, ttlMs, renewable }, started, Math.max(active.fullTtlMs, ttlMs));
        return;
      }
      logger.warn({ ...who, namespace, status: answer.status }, "Vault does not renew our token, it is used up");
      active.life = { ...active.life, renewAt: Number.POSITIVE_INFINITY };
      this.#wakeFor(active);
    } catch (error) {
      if (isOver()) return;
      logger.warn({ ...who, namespace, error }, "renewing our token failed");
      const delay = backoffDelay(attempt, renewalBackoff, random);
      if (started + delay < active.life.expiresAt) this.#renewAfter(delay, active, attempt + 1);
    }
  }

  async #isDead(active: Active): Promise<boolean> {
    const { door, clock, logger, who } = this.#options;
    // A look-up takes one use; when there is none left, that is the likely reason.
    const isUsedUp = active.usesLeft < 1;
    active.usesLeft -= 1;
    const state = isUsedUp ? "dead" : (await lookupSelf(door, active.grant.token)).state;
    const now = clock.monotonic();
    if (state === "alive") this.#aliveUntil = now + aliveMs;
    if (state === "alive" || now - this.#replacedAt < betweenReplacementsMs) return false;
    logger.warn({ ...who, namespace: door.namespace }, "Vault does not know our token any more, logging in again");
    this.#replacedAt = now;
    if (this.#active === active) this.#forget();
    return true;
  }

  /** Whether the token that is in use has been replaced where it came from; never rejects. */
  async #lookAtSource(): Promise<void> {
    const { clock, login } = this.#options;
    const active = this.#active;
    if (login.isReplaced === undefined || active === undefined) return;
    if (clock.monotonic() - this.#lookedAt < betweenLooksMs) return;
    this.#lookedAt = clock.monotonic();
    if (await login.isReplaced(active.grant.token)) active.outdated = true;
  }

  /** Ends the use of the token, and revokes it in the background if it is ours and alive. */
  #drop(): void {
    const active = this.#active;
    this.#forget();
    if (active === undefined || !active.grant.revocable || active.usesLeft < 1) return;
    if (this.#options.clock.monotonic() >= active.life.expiresAt) return;
    const revoking = this.#revoke(active.grant.token).finally(() => this.#revoking.delete(revoking));
    this.#revoking.add(revoking);
  }

  #forget(): void {
    this.#active = undefined;
    this.#timer?.cancel();
  }

  async #revoke(token: string): Promise<void> {
    const { door, logger, who } = this.#options;
    try {
      const { transport, namespace } = door;
      const path = "auth/token/revoke-self";
      const { status } = await transport.send({ method: "POST", path, namespace, token });
      // A policy may forbid it, and the token may be gone.
      if (status >= 400) logger.debug({ ...who, status }, "Vault does not revoke our token, it expires by itself");
    } catch (error) {
      logger.warn({ ...who, error }, "token not revoked, it expires by itself");
    }
  }
}
