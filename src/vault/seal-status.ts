// Sealed, or never initialised? Vault refuses requests with the same words for both, but its health page, which needs no
// token, tells them apart. It is asked once for all the requests that are refused within some seconds.
import type { Clock } from "../base/clock.ts";
import { isJsonObject } from "./json.ts";
import type { VaultServer } from "./servers.ts";

/** Answers with HTTP 200 whatever the state is. Below `/v1/`, of the root namespace. */
export const healthPath = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200";

/** For so long an answer is believed, ms. */
const believedMs = 5_000;

interface Asked {
  readonly at: number;
  readonly answer: Promise<boolean | undefined>;
}

/** What servers said of themselves when they were sealed. */
export class SealStatus {
  readonly #ask: (server: VaultServer) => Promise<unknown>;
  readonly #clock: Clock;
  readonly #asked = new Map<string, Asked>();

  /** @param ask fetches `healthPath`: resolves with the parsed answer, undefined when there is none; never rejects */
  constructor(ask: (server: VaultServer) => Promise<unknown>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Whether a server has been initialised; undefined when it does not say. */
  isInitialised(server: VaultServer): Promise<boolean | undefined> {
    const now = this.#clock.monotonic();
    const before = this.#asked.get(server.address);
    if (before !== undefined && now - before.at < believedMs) return before.answer;
    const answer = this.#ask(server).then(initialisedIn);
    this.#asked.set(server.address, { at: now, answer });
    return answer;
  }
}

function initialisedIn(health: unknown): boolean | undefined {
  const initialized = isJsonObject(health) ? health["initialized"] : undefined;
  return typeof initialized === "boolean" ? initialized : undefined;
}
