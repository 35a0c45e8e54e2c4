// KV v1: one map per path, without versions. Reading is the only way to look, and a write is a write over.
import type { Clock } from "../../base/clock.ts";
import { OperatorError } from "../../base/errors.ts";
import type { PlainMap } from "../../base/plaintext.ts";
import type { VaultClient } from "../client.ts";
import { isNoSuchMount, isWrongEngine, refused } from "../errors.ts";
import { objectAt } from "../json.ts";
import type { VaultAnswer } from "../transport.ts";
import { dataPath, dataAddress } from "./address.ts";
import { Denials } from "./denials.ts";
import type { Destination, KVEngine, Observed } from "./engine.ts";
import { jsonOf, plainMapOf } from "./values.ts";

export class KVv1 implements KVEngine {
  readonly #client: VaultClient;
  readonly #denials: Denials;

  constructor(client: VaultClient, clock: Clock) {
    this.#client = client;
    this.#denials = new Denials(clock);
  }

  observe(destination: Destination): Promise<Observed> {
    return this.read(destination);
  }

  async read(destination: Destination): Promise<Observed> {
    const unreadable = { state: "unreadable", missingCapability: "read" } as const;
    const key = dataPath(destination);
    if (this.#denials.has(key)) return unreadable;
    const answer = await this.#client.request({
      method: "GET",
      path: dataAddress(destination),
      namespace: destination.namespace,
    });
    if (answer.status === 403) {
      this.#denials.add(key);
      return unreadable;
    }
    if (isAbsent(answer)) return { state: "absent" };
    if (answer.status !== 200)
      throw refused(answer, { doing: "reading", where: dataPath(destination), capability: "read" });
    const data = objectAt(answer.body, "data");
    if (data === undefined) throw notKVAnswer(destination);
    return { state: "present", data: plainMapOf(data) };
  }

  /** `cas` means nothing here. */
  async write(destination: Destination, data: PlainMap): Promise<undefined> {
    const answer = await this.#client.request({
      method: "PUT",
      path: dataAddress(destination),
      namespace: destination.namespace,
      body: jsonOf(data),
    });
    // Without any right at all there is nothing to be gained from not asking: it may be granted together.
    if (answer.status === 403) this.#denials.delete(dataPath(destination));
    if (answer.status >= 400)
      throw refused(answer, { doing: "writing", where: dataPath(destination), capability: "create and update" });
    return undefined;
  }

  writeMetadata(): Promise<string | undefined> {
    return Promise.reject(noSuchThing("metadata"));
  }

  softDelete(): Promise<void> {
    return Promise.reject(noSuchThing("soft deletion"));
  }

  async remove(destination: Destination): Promise<void> {
    const answer = await this.#client.request({
      method: "DELETE",
      path: dataAddress(destination),
      namespace: destination.namespace,
    });
    if (answer.status < 400 || isAbsent(answer)) return;
    throw refused(answer, { doing: "removing", where: dataPath(destination), capability: "delete" });
  }
}

function noSuchThing(what: string): OperatorError {
  return new OperatorError("InternalError", `KV v1 knows no ${what}; this is a bug`);
}

/** Nothing there, or no mount. Other 404s (of KV v2, of a namespace that is not there) say something else. */
function isAbsent(answer: VaultAnswer): boolean {
  const { status, errors } = answer;
  return status === 404 && !isWrongEngine(answer) && (errors.length === 0 || isNoSuchMount(answer));
}

function notKVAnswer(destination: Destination): OperatorError {
  return new OperatorError(
    "EngineMismatch",
    `what is mounted at ${destination.mount} does not answer as KV v1 does; check kvSettings.engineVersion and spec.path`,
  );
}
