// Vault takes the name of a child namespace in front of a path: `team-b/kv/x`, asked in the root namespace, is `kv/x` of
// the namespace team-b, and its mount look-up answers `team-b/kv/` as if that were a mount. A tenancy policy that tells
// namespaces apart must not be got round so: where there is one, a namespace is named in spec.vaultNamespace or not at all.
import type { Clock } from "../../base/clock.ts";
import { OperatorError } from "../../base/errors.ts";
import { quoted } from "../errors.ts";
import { objectAt, stringsAt } from "../json.ts";
import type { Destination } from "./engine.ts";
import type { MountResolverOptions } from "./mount.ts";

/** As long as a mount is believed. Vault makes no namespace in the place of a mount, so no answer gets wrong earlier. */
const believedMs = 600_000;

/** For one identity. */
export class NamespaceBoundary {
  readonly #options: MountResolverOptions;
  readonly #clock: Clock;
  /** By mount, of several segments: until when it is known to be in the identity's own namespace. */
  readonly #inside = new Map<string, number>();

  constructor(options: MountResolverOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /**
   * One request for a mount of several segments, which is then known; for a mount that Vault does not tell of, each time.
   * @throws OperatorError `PolicyDenied` when the path leads into a child namespace; one of the `Vault…` codes
   */
  async assertInside({ namespace, mount, path }: Destination): Promise<void> {
    const told = this.#options.cache.find(namespace, mount.split("/"));
    // A namespace and a mount in it are two segments at least.
    if (told !== undefined && !told.path.includes("/")) return;
    if (this.#clock.monotonic() < (this.#inside.get(`${namespace}:${mount}`) ?? 0)) return;
    const whole = `${mount}/${path}/`;
    const child = (await this.#children(namespace)).find((name) => whole.startsWith(name));
    if (child !== undefined) throw leadsInto(child.replace(/\/$/, ""), namespace);
    if (told !== undefined) this.#inside.set(`${namespace}:${mount}`, this.#clock.monotonic() + believedMs);
  }

  /** Names with a slash behind them of the namespaces below one, as far as the identity can do anything in them. */
  async #children(namespace: string): Promise<readonly string[]> {
    const { client } = this.#options;
    const answer = await client.request({ method: "GET", path: "sys/internal/ui/namespaces", namespace });
    // A server without namespaces does not know the question.
    if (answer.status === 404) return [];
    if (answer.status === 200) return stringsAt(objectAt(answer.body, "data"), "keys").filter((name) => name !== "");
    throw new OperatorError(
      "VaultUnavailable",
      `Vault cannot say which namespaces there are: it answered HTTP ${answer.status}${quoted(answer.errors)}; see Vault's own log`,
    );
  }
}

function leadsInto(child: string, namespace: string): OperatorError {
  const whole = namespace === "" ? child : `${namespace}/${child}`;
  return new OperatorError(
    "PolicyDenied",
    `the path leads into the Vault namespace ${whole}, which the policy can judge only when it is named as such; Vault was left as it is; take it out of spec.path and set spec.vaultNamespace`,
  );
}
