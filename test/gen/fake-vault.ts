// What Vault does to tokens, by the clock of a test and by nothing else: it issues, renews, counts uses, revokes and
// forgets them. Only for properties of token life over hours and many sequences; everything that Vault says in words is
// tested on the real server.
import { OperatorError } from "../../src/base/errors.ts";
import { postLogin } from "../../src/vault/auth/login.ts";
import type { Login } from "../../src/vault/auth/login.ts";
import type { VaultAnswer, VaultRequest } from "../../src/vault/transport.ts";
import type { FakeClock } from "./fake-clock.ts";

/** What a role says of its tokens. Seconds. */
export interface TokenRole {
  readonly ttl: number;
  /** 0: a token may be renewed for ever, as a periodic one. */
  readonly maxTtl: number;
  /** 0: no limit. */
  readonly uses: number;
  readonly type: "service" | "batch";
}

interface Issued {
  expiresAt: number;
  readonly endsAt: number;
  usesLeft: number;
  revoked: boolean;
}

const permissionDenied: VaultAnswer = { status: 403, body: {}, errors: ["permission denied"], warnings: [] };

/** A transport with a Vault behind it. */
export class FakeVault {
  /** `down`: nothing answers. `closed`: logins are refused. */
  state: "up" | "closed" | "down" = "up";
  logins = 0;
  renewals = 0;
  /** Requests with a token that was over by time or use, and had not been revoked. */
  late = 0;
  readonly #tokens = new Map<string, Issued>();
  readonly #role: TokenRole;
  readonly #clock: FakeClock;

  constructor(role: TokenRole, clock: FakeClock) {
    this.#role = role;
    this.#clock = clock;
  }

  readonly login: Login = {
    logIn: (door) => postLogin(door, { path: "auth/userpass/login/x", body: {}, who: "x", remedy: "none" }),
  };

  /** Tokens that Vault could revoke. */
  get leases(): number {
    if (this.#role.type === "batch") return 0;
    return [...this.#tokens.values()].filter((token) => this.#isAlive(token)).length;
  }

  revokeAll(): void {
    for (const token of this.#tokens.values()) token.revoked = true;
  }

  send({ path, token }: VaultRequest): Promise<VaultAnswer> {
    if (this.state === "down") return Promise.reject(new OperatorError("VaultUnavailable", "down"));
    if (path === "auth/userpass/login/x") return Promise.resolve(this.#logIn());
    const issued = this.#tokens.get(token ?? "");
    if (issued === undefined) throw new Error("a token that was never issued");
    if (!this.#isAlive(issued)) {
      if (!issued.revoked) this.late += 1;
      return Promise.resolve(permissionDenied);
    }
    issued.usesLeft -= 1;
    if (path === "auth/token/renew-self") return Promise.resolve(this.#renew(issued, token));
    if (path === "auth/token/revoke-self") issued.revoked = true;
    return Promise.resolve({ status: 200, body: { data: {} }, errors: [], warnings: [] });
  }

  #logIn(): VaultAnswer {
    if (this.state === "closed") return { status: 400, body: {}, errors: ["invalid"], warnings: [] };
    const { ttl, maxTtl, uses } = this.#role;
    const now = this.#clock.monotonic();
    this.logins += 1;
    const token = `token-${this.logins}`;
    const endsAt = maxTtl === 0 ? Number.POSITIVE_INFINITY : now + maxTtl * 1_000;
    const expiresAt = Math.min(endsAt, now + ttl * 1_000);
    this.#tokens.set(token, { expiresAt, endsAt, usesLeft: uses || Number.POSITIVE_INFINITY, revoked: false });
    return this.#auth(token, expiresAt - now);
  }

  #renew(issued: Issued, token: string | undefined): VaultAnswer {
    const { type, ttl } = this.#role;
    if (type === "batch") return { status: 400, body: {}, errors: ["batch tokens cannot be renewed"], warnings: [] };
    this.renewals += 1;
    const now = this.#clock.monotonic();
    issued.expiresAt = Math.min(issued.endsAt, now + ttl * 1_000);
    return this.#auth(token, issued.expiresAt - now);
  }

  #auth(token: string | undefined, ms: number): VaultAnswer {
    const { type, uses } = this.#role;
    const auth = {
      client_token: token,
      lease_duration: Math.floor(ms / 1_000),
      renewable: type === "service",
      num_uses: uses,
      token_type: type,
    };
    return { status: 200, body: { auth }, errors: [], warnings: [] };
  }

  #isAlive({ expiresAt, usesLeft, revoked }: Issued): boolean {
    return !revoked && usesLeft > 0 && this.#clock.monotonic() < expiresAt;
  }
}
