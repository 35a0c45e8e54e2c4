// The emulator's keys and aliases, by region, and the file that lets them outlive a restart. The file holds key
// material in the clear: these keys protect nothing but test values.
import { createSecretKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { AwsError } from "./aws-error.ts";

/** The account that all emulated keys belong to. */
export const accountId = "000000000000";

export type KeyState = "Enabled" | "Disabled" | "PendingDeletion";

export interface EmulatedKey {
  /** A UUID. */
  readonly keyId: string;
  readonly region: string;
  readonly arn: string;
  readonly description: string;
  /** Seconds since the epoch. */
  readonly createdAt: number;
  readonly material: KeyObject;
  state: KeyState;
  /** Seconds since the epoch; only while the state is PendingDeletion. The key is never really deleted. */
  deletionAt?: number;
}

const stateSchema = z.strictObject({
  version: z.literal(1),
  keys: z.array(
    z.strictObject({
      keyId: z.uuid(),
      region: z.string(),
      description: z.string(),
      createdAt: z.number(),
      material: z.base64(),
      state: z.enum(["Enabled", "Disabled", "PendingDeletion"]),
      deletionAt: z.number().optional(),
    }),
  ),
  aliases: z.array(z.strictObject({ name: z.string(), region: z.string(), keyId: z.uuid() })),
});

/** Keys and aliases of all regions. Every change is in the state file, when there is one, before it is answered. */
export class KeyStore {
  readonly #keys = new Map<string, EmulatedKey>();
  /** By alias ARN; the value is a key id. */
  readonly #aliases = new Map<string, string>();
  readonly #stateFile: string | undefined;

  /**
   * @param stateFile read now when it exists, replaced at every change
   * @throws Error when the file is there and cannot be understood
   */
  constructor(stateFile?: string) {
    this.#stateFile = stateFile;
    if (stateFile !== undefined && existsSync(stateFile)) this.#load(stateFile);
  }

  /** A new enabled key. */
  create(region: string, description: string, createdAt: number): EmulatedKey {
    const material = createSecretKey(randomBytes(32));
    const keyId = randomUUID();
    const key: EmulatedKey = {
      keyId,
      region,
      arn: arnOf(region, `key/${keyId}`),
      description,
      createdAt,
      material,
      state: "Enabled",
    };
    this.#keys.set(keyId, key);
    this.#save();
    return key;
  }

  /** The key of that id (from a ciphertext blob) in that region. */
  byId(region: string, keyId: string): EmulatedKey | undefined {
    const key = this.#keys.get(keyId);
    return key?.region === region ? key : undefined;
  }

  /**
   * @param reference key id, key ARN, alias name (`alias/…`) or alias ARN
   * @throws AwsError `NotFoundException`
   */
  find(region: string, reference: string): EmulatedKey {
    const resource = resourceOf(region, reference);
    if (!resource.startsWith("alias/")) return this.#findKey(region, resource);
    const arn = arnOf(region, resource);
    const key = this.byId(region, this.#aliases.get(arn) ?? "");
    if (key === undefined) throw new AwsError("NotFoundException", `Alias ${arn} is not found.`);
    return key;
  }

  /**
   * As `find` for the operations that manage a key: AWS takes no alias there.
   * @throws AwsError `NotFoundException`
   */
  findWithoutAlias(region: string, reference: string): EmulatedKey {
    const resource = resourceOf(region, reference);
    if (resource.startsWith("alias/")) throw new AwsError("NotFoundException", `Invalid keyId '${reference}'`);
    return this.#findKey(region, resource);
  }

  /** All keys of a region, in the order in which they were made. */
  list(region: string): readonly EmulatedKey[] {
    return [...this.#keys.values()].filter((key) => key.region === region);
  }

  /** @throws AwsError `AlreadyExistsException` */
  addAlias(name: string, key: EmulatedKey): void {
    const arn = arnOf(key.region, name);
    if (this.#aliases.has(arn)) {
      throw new AwsError("AlreadyExistsException", `An alias with the name ${arn} already exists`);
    }
    this.#aliases.set(arn, key.keyId);
    this.#save();
  }

  /**
   * Points an alias at another key.
   * @throws AwsError `NotFoundException`
   */
  moveAlias(name: string, key: EmulatedKey): void {
    const arn = arnOf(key.region, name);
    if (!this.#aliases.has(arn)) throw new AwsError("NotFoundException", `Alias ${arn} is not found.`);
    this.#aliases.set(arn, key.keyId);
    this.#save();
  }

  /** Changes the state of a key; `deletionAt` (seconds since the epoch) goes with PendingDeletion. */
  setState(key: EmulatedKey, state: KeyState, deletionAt?: number): void {
    key.state = state;
    if (deletionAt === undefined) delete key.deletionAt;
    else key.deletionAt = deletionAt;
    this.#save();
  }

  #findKey(region: string, resource: string): EmulatedKey {
    const keyId = resource.startsWith("key/") ? resource.slice("key/".length) : resource;
    const key = this.byId(region, keyId);
    if (key === undefined) {
      throw new AwsError("NotFoundException", `Key '${arnOf(region, `key/${keyId}`)}' does not exist`);
    }
    return key;
  }

  #load(path: string): void {
    let state: z.infer<typeof stateSchema>;
    try {
      state = stateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    } catch {
      // Neither the parse error nor its cause is passed on: it can quote key material.
      throw new Error(`${path} is no state file of the KMS emulator; remove it or name another`);
    }
    for (const { material, deletionAt, ...rest } of state.keys) {
      const key: EmulatedKey = {
        ...rest,
        arn: arnOf(rest.region, `key/${rest.keyId}`),
        material: createSecretKey(material, "base64"),
        ...(deletionAt !== undefined && { deletionAt }),
      };
      this.#keys.set(key.keyId, key);
    }
    for (const { region, name, keyId } of state.aliases) this.#aliases.set(arnOf(region, name), keyId);
  }

  #save(): void {
    if (this.#stateFile === undefined) return;
    const state: z.infer<typeof stateSchema> = {
      version: 1,
      keys: [...this.#keys.values()].map((key) => ({
        keyId: key.keyId,
        region: key.region,
        description: key.description,
        createdAt: key.createdAt,
        material: key.material.export().toString("base64"),
        state: key.state,
        ...(key.deletionAt !== undefined && { deletionAt: key.deletionAt }),
      })),
      aliases: [...this.#aliases].map(([arn, keyId]) => ({ ...splitArn(arn), keyId })),
    };
    const temporary = `${this.#stateFile}.${process.pid}.tmp`;
    writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, this.#stateFile);
  }
}

/** The ARN of `key/<id>` or `alias/<name>`. */
function arnOf(region: string, resource: string): string {
  return `arn:aws:kms:${region}:${accountId}:${resource}`;
}

function splitArn(arn: string): { readonly region: string; readonly name: string } {
  const [, , , region = "", , ...name] = arn.split(":");
  return { region, name: name.join(":") };
}

/** `key/<id>`, `alias/<name>` or a bare key id; an ARN has to be of this region and account. */
function resourceOf(region: string, reference: string): string {
  if (!reference.startsWith("arn:")) return reference;
  const prefix = arnOf(region, "");
  if (!reference.startsWith(prefix))
    throw new AwsError("NotFoundException", `Invalid arn ${splitArn(reference).region}`);
  return reference.slice(prefix.length);
}
