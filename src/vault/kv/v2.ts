// KV v2: versions and metadata. Looking needs the metadata only; every write is guarded by check-and-set, so whatever
// somebody else wrote meanwhile is noticed and never written over unseen.
import type { Clock } from "../../base/clock.ts";
import { OperatorError } from "../../base/errors.ts";
import type { PlainMap } from "../../base/plaintext.ts";
import type { VaultClient } from "../client.ts";
import { isNoSuchMount, refused } from "../errors.ts";
import { isJsonObject, type JsonObject, objectAt } from "../json.ts";
import type { VaultAnswer } from "../transport.ts";
import { dataPath, dataAddress, metadataAddress, metadataPath } from "./address.ts";
import { Denials } from "./denials.ts";
import type { Destination, KVEngine, Metadata, MetadataChange, Observed, Revision } from "./engine.ts";
import { metadataIn, MetadataWriter } from "./metadata.ts";
import { jsonOf, plainMapOf } from "./values.ts";

export class KVv2 implements KVEngine {
  readonly #client: VaultClient;
  readonly #clock: Clock;
  /** Of reading metadata, which policies written for the original do not grant. */
  readonly #denials: Denials;
  readonly #metadata: MetadataWriter;

  constructor(client: VaultClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    this.#denials = new Denials(clock);
    this.#metadata = new MetadataWriter(client, clock);
  }

  async observe(destination: Destination): Promise<Observed> {
    const key = dataPath(destination);
    if (!this.#denials.has(key)) {
      const answer = await this.#get(destination, metadataAddress(destination));
      if (answer.status !== 403) return this.#fromMetadata(answer, destination);
      this.#denials.add(key);
    }
    const observed = await this.read(destination);
    // With neither, each look asks for both: one of them is needed.
    if (observed.state === "unreadable") this.#denials.delete(key);
    return observed;
  }

  async read(destination: Destination): Promise<Observed> {
    const answer = await this.#get(destination, dataAddress(destination));
    if (answer.status === 403) return { state: "unreadable", missingCapability: "read" };
    if (isAbsent(answer)) return { state: "absent" };
    const secret = objectAt(answer.body, "data");
    const metadata = objectAt(secret, "metadata");
    // A deleted or destroyed version is a 404 that still says which one.
    if (metadata === undefined && answer.status !== 200)
      throw refused(answer, { doing: "reading", where: dataPath(destination), capability: "read" });
    const revision = revisionOf(metadata?.["version"], metadata);
    if (metadata === undefined || revision === undefined) throw notKVAnswer(destination);
    const seen = { revision, metadata: metadataIn(metadata) };
    if (answer.status === 404 || this.#isDeleted(metadata)) return { state: "deleted", ...seen };
    const data = secret?.["data"];
    if (!isJsonObject(data)) throw notKVAnswer(destination);
    return { state: "present", ...seen, data: plainMapOf(data) };
  }

  async write(destination: Destination, data: PlainMap, cas?: number): Promise<Revision> {
    if (cas === undefined) {
      throw new OperatorError("InternalError", "KV v2 is never written without check-and-set; this is a bug");
    }
    const answer = await this.#client.request({
      method: "POST",
      path: dataAddress(destination),
      namespace: destination.namespace,
      body: { data: jsonOf(data), options: { cas } },
    });
    if (isCASMismatch(answer)) {
      throw new OperatorError(
        "CASConflict",
        `${dataPath(destination)} does not hold version ${cas} (any more); nothing was written`,
      );
    }
    if (answer.status >= 400)
      throw refused(answer, { doing: "writing", where: dataPath(destination), capability: "create and update" });
    const written = objectAt(answer.body, "data");
    const revision = revisionOf(written?.["version"], written);
    if (revision === undefined) throw notKVAnswer(destination);
    return revision;
  }

  writeMetadata(destination: Destination, change: MetadataChange, known?: Metadata): Promise<string | undefined> {
    return this.#metadata.write(destination, change, known);
  }

  async remove(destination: Destination): Promise<void> {
    const answer = await this.#delete(destination, metadataAddress(destination));
    if (answer.status < 400 || isAbsent(answer)) return;
    throw refused(answer, { doing: "removing", where: metadataPath(destination), capability: "delete" });
  }

  async softDelete(destination: Destination): Promise<void> {
    const answer = await this.#delete(destination, dataAddress(destination));
    if (answer.status < 400 || isAbsent(answer)) return;
    throw refused(answer, { doing: "deleting", where: dataPath(destination), capability: "delete" });
  }

  #delete({ namespace }: Destination, path: string): Promise<VaultAnswer> {
    return this.#client.request({ method: "DELETE", path, namespace });
  }

  #get(destination: Destination, path: string): Promise<VaultAnswer> {
    return this.#client.request({ method: "GET", path, namespace: destination.namespace });
  }

  #fromMetadata(answer: VaultAnswer, destination: Destination): Observed {
    if (isAbsent(answer)) return { state: "absent", metadata: nothing };
    if (answer.status !== 200)
      throw refused(answer, { doing: "reading the metadata of", where: metadataPath(destination), capability: "read" });
    const found = objectAt(answer.body, "data");
    if (found === undefined) throw notKVAnswer(destination);
    const metadata = metadataIn(found);
    const { current_version: current } = found;
    // Metadata alone (custom_metadata, max_versions) can stand there before any version does.
    if (current === 0) return { state: "absent", metadata };
    const version = objectAt(objectAt(found, "versions"), String(current));
    const revision = revisionOf(current, version);
    if (version === undefined || revision === undefined) throw notKVAnswer(destination);
    return { state: this.#isDeleted(version) ? "deleted" : "present", revision, metadata };
  }

  /** `deletion_time` may lie ahead (`delete_version_after`): the version lives until then. */
  #isDeleted(version: JsonObject): boolean {
    const { destroyed, deletion_time: deletionTime } = version;
    if (destroyed === true) return true;
    return typeof deletionTime === "string" && deletionTime !== "" && Date.parse(deletionTime) <= this.#clock.now();
  }
}

/** Of a secret that is not there. */
const nothing: Metadata = { custom: {}, settings: { maxVersions: 0, deleteVersionAfterMs: 0 } };

function revisionOf(version: unknown, from: JsonObject | undefined): Revision | undefined {
  const createdTime = from?.["created_time"];
  if (typeof version !== "number" || typeof createdTime !== "string") return undefined;
  return { version, createdTime };
}

/** Nothing there, or no mount. Other 404s (a deleted version, a namespace that is not there) say something else. */
function isAbsent(answer: VaultAnswer): boolean {
  const { status, errors, body } = answer;
  const isBare = errors.length === 0 && "errors" in body;
  return status === 404 && (isBare || isNoSuchMount(answer));
}

/** Vault has no code for it; the text is the same in Vault since KV v2 exists, and in OpenBao. */
function isCASMismatch({ status, errors }: VaultAnswer): boolean {
  return status === 400 && errors.some((text) => text.includes("check-and-set parameter did not match"));
}

function notKVAnswer(destination: Destination): OperatorError {
  return new OperatorError(
    "EngineMismatch",
    `what is mounted at ${destination.mount} does not answer as KV v2 does; check kvSettings.engineVersion and spec.path`,
  );
}
