// Which mount stands behind a path, and which engine behind the mount. Vault is asked (`sys/internal/ui/mounts`, which
// any token may that can do anything at all there); where it does not say, the object's own word is believed.
import type { Clock } from "../../base/clock.ts";
import { OperatorError } from "../../base/errors.ts";
import type { VaultClient } from "../client.ts";
import { isNoSuchNamespace, noSuchNamespace, quoted } from "../errors.ts";
import { objectAt } from "../json.ts";
import type { VaultAnswer } from "../transport.ts";
import { believedMount, destinationBelow, encoded, isBelow, type Mount, parsePath, type Segments } from "./address.ts";
import { Denials } from "./denials.ts";
import type { Destination, EngineVersion } from "./engine.ts";

/** Vault asks nobody what these are. */
const reserved: ReadonlySet<string> = new Set(["sys", "auth", "identity", "cubbyhole"]);
/** A mount may be replaced by another engine; what an engine answers to the wrong address tells it earlier. */
const believedMs = 600_000;

/** KV mounts that Vault told of, shared by all identities: what is mounted is no secret, and the same for everyone. */
export class MountCache {
  readonly #clock: Clock;
  /** By namespace, then by mount path. */
  readonly #mounts = new Map<string, Map<string, { readonly mount: Mount; readonly until: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The mount above these segments. Vault mounts nothing inside another mount, so there is one at most. */
  find(namespace: string, segments: Segments): Mount | undefined {
    const mounts = this.#mounts.get(namespace);
    for (let length = 1; length <= segments.length; length += 1) {
      const cached = mounts?.get(segments.slice(0, length).join("/"));
      if (cached !== undefined && this.#clock.monotonic() < cached.until) return cached.mount;
    }
    return undefined;
  }

  add(namespace: string, mount: Mount): void {
    const mounts = this.#mounts.get(namespace) ?? new Map<string, { mount: Mount; until: number }>();
    mounts.set(mount.path, { mount, until: this.#clock.monotonic() + believedMs });
    this.#mounts.set(namespace, mounts);
  }

  /** To be called when a mount turned out not to be what it was. */
  forget(namespace: string, mount: string): void {
    this.#mounts.get(namespace)?.delete(mount);
  }
}

export interface MountResolverOptions {
  readonly client: VaultClient;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
  readonly cache: MountCache;
  readonly clock: Clock;
}

/** From paths to destinations, for one identity. */
export class MountResolver {
  readonly #options: MountResolverOptions;
  readonly #denials: Denials;
  /** By first segment: of many objects below a mount that is not known yet, one asks and the others wait. */
  readonly #asking = new Map<string, Promise<Mount | undefined>>();

  constructor(options: MountResolverOptions) {
    this.#options = options;
    this.#denials = new Denials(options.clock);
  }

  /** See VaultAccess.resolve. */
  async resolve(path: string, engineVersion?: EngineVersion): Promise<Destination> {
    const segments = parsePath(path);
    const first = segments[0] ?? "";
    if (reserved.has(first)) throw notKV(segments, `${first}/ is Vault's own`);
    const mount = await this.#mountAbove(segments, engineVersion);
    const destination = destinationBelow(mount, segments, this.#options.namespace);
    if (engineVersion !== undefined && engineVersion !== mount.engineVersion) {
      throw new OperatorError(
        "EngineMismatch",
        `the engine mounted at ${mount.path} is KV ${mount.engineVersion}, but kvSettings.engineVersion says ${engineVersion}: correct it or leave it out`,
      );
    }
    return destination;
  }

  async #mountAbove(segments: Segments, engineVersion: EngineVersion | undefined): Promise<Mount> {
    const known = await this.#known(segments, engineVersion !== undefined);
    if (known !== undefined) return known;
    if (engineVersion !== undefined) return believedMount(segments, engineVersion);
    throw new OperatorError(
      "EngineUnknown",
      `Vault does not say which engine is mounted above ${segments.join("/")}: either nothing is, or the operator's login has no capability at all there; enable the mount, grant the capabilities, or set kvSettings.engineVersion`,
    );
  }

  /** The mount as Vault tells it, or undefined when it denies to. */
  async #known(segments: Segments, isOptional: boolean): Promise<Mount | undefined> {
    const { cache, namespace } = this.#options;
    const first = segments[0] ?? "";
    const others = this.#asking.get(first);
    // Whatever came of another's question, it was not about this path; only its answer may be ours too.
    if (cache.find(namespace, segments) === undefined && others !== undefined) await others.catch(() => undefined);
    const cached = cache.find(namespace, segments);
    const path = segments.join("/");
    if (cached !== undefined || (isOptional && this.#denials.has(path))) return cached;
    const asking = this.#ask(segments);
    this.#asking.set(first, asking);
    try {
      const mount = await asking;
      if (mount === undefined) this.#denials.add(path);
      else cache.add(namespace, mount);
      return mount;
    } finally {
      if (this.#asking.get(first) === asking) this.#asking.delete(first);
    }
  }

  async #ask(segments: Segments): Promise<Mount | undefined> {
    const { client, namespace } = this.#options;
    const path = `sys/internal/ui/mounts/${encoded(segments.join("/"))}`;
    const answer = await client.request({ method: "GET", path, namespace });
    // Also for a mount that does not exist, even to root.
    if (answer.status === 403) return undefined;
    if (isNoSuchNamespace(answer))
      throw noSuchNamespace(`${segments.join("/")} in namespace ${namespace} leads nowhere`);
    if (answer.status === 400 || answer.status === 414) throw unprintable(segments);
    if (answer.status !== 200) throw cannotTell(segments, answer);
    return mountOf(answer, segments);
  }
}

function mountOf(answer: VaultAnswer, segments: Segments): Mount {
  const data = objectAt(answer.body, "data");
  const { path, type } = data ?? {};
  if (typeof path !== "string" || typeof type !== "string") throw cannotTell(segments, answer);
  const mount = path.split("/").filter((segment) => segment !== "");
  if (!isBelow(segments, mount)) throw notKV(segments, `Vault names the mount ${path} for it, which is not above it`);
  if (type !== "kv" && type !== "generic") throw notKV(segments, `the engine mounted at ${path} is ${type}`);
  const isV2 = objectAt(data, "options")?.["version"] === "2";
  return { path: mount.join("/"), engineVersion: isV2 ? "v2" : "v1" };
}

function notKV(segments: Segments, why: string): OperatorError {
  return new OperatorError(
    "NotKV",
    `${segments.join("/")} is not in a KV engine: ${why}; choose a path below a KV mount`,
  );
}

function unprintable(segments: Segments): OperatorError {
  return new OperatorError(
    "InvalidPath",
    `Vault refuses to look at the path ${JSON.stringify(segments.join("/"))}: check it for unprintable characters, such as a space that is none, and for its length`,
  );
}

function cannotTell(segments: Segments, { status, errors }: VaultAnswer): OperatorError {
  return new OperatorError(
    "VaultUnavailable",
    `Vault cannot say which engine is mounted above ${segments.join("/")}: it answered HTTP ${status}${quoted(errors)}; see Vault's own log`,
  );
}
