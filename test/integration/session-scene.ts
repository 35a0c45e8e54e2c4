// What the tests of token life share: a mount to look at, users of Vault's own to log in as, and Vault's own word on which
// tokens live.
import { expect } from "vitest";
import { OperatorError } from "../../src/base/errors.ts";
import type { Destination } from "../../src/vault/kv/engine.ts";
import type { VaultAccess } from "../../src/vault/vault.ts";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { Admin, type Server } from "./vault-fixture.ts";

/** What Vault says of a token. */
// oxlint-disable-next-line typescript/no-explicit-any -- an answer of a real server, looked into by tests only
type TokenData = any;

export class SessionScene {
  readonly admin: Admin;
  readonly place: Destination;
  /** May do everything in the mount. */
  readonly policy: string;

  constructor(admin: Admin, mount: string, policy: string) {
    this.admin = admin;
    this.place = { namespace: "", mount, engineVersion: "v2", path: "session" };
    this.policy = policy;
  }

  /** A user who may use the mount. @returns the variables to log in as that user */
  async user(options: object = {}): Promise<{ readonly VAULT_USERNAME: string; readonly VAULT_PASSWORD: string }> {
    const username = uniqueName("user");
    const password = uniqueName("canary");
    const body = { password, token_policies: this.policy, ...options };
    await this.admin.send("POST", `auth/userpass/users/${username}`, body);
    return { VAULT_USERNAME: username, VAULT_PASSWORD: password };
  }

  /** The code of the error that looking ends with, or the state that it finds. */
  async look(access: VaultAccess): Promise<string> {
    try {
      return (await access.observe(this.place)).state;
    } catch (error) {
      return error instanceof OperatorError ? error.code : String(error);
    }
  }

  /** The error that looking ends with. */
  async failure(access: VaultAccess): Promise<OperatorError> {
    const error: unknown = await access.observe(this.place).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OperatorError);
    return error as OperatorError;
  }

  /** The tokens that live now and fit, by their accessors. */
  async accessors(fits: (token: TokenData) => boolean): Promise<string[]> {
    const { keys } = (await this.admin.send("GET", "auth/token/accessors?list=true")).data;
    const found: string[] = [];
    for (const accessor of keys) {
      const { status, body } = await this.admin.ask("POST", "auth/token/lookup-accessor", { accessor });
      if (status === 200 && fits(body.data)) found.push(accessor);
    }
    return found;
  }

  /** The living tokens of a user. */
  accessorsOf(username: string): Promise<string[]> {
    return this.accessors(({ meta }) => meta?.username === username);
  }

  /** Waits until so many tokens of a user live. */
  async untilTokens(username: string, count: number): Promise<void> {
    await eventually(async () => expect(await this.accessorsOf(username)).toHaveLength(count));
  }
}

/** With a mount of its own. */
export async function sessionScene(server: Server): Promise<SessionScene> {
  const admin = new Admin(server);
  const mount = await admin.mount("v2");
  const policy = await admin.policy({ [`${mount}/*`]: ["create", "read", "update", "delete"] });
  return new SessionScene(admin, mount, policy);
}
