// How fast objects that nobody has seen yet come into Vault: ours (or any subject), and the floor beneath it, in turns.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type Calls, checkout, type Cluster } from "./cluster.ts";
import type { FloorJob, FloorReport } from "./floor.ts";
import { Population } from "./population.ts";
import { Subject, type SubjectOptions } from "./subject.ts";
import type { Usage } from "./usage.ts";
import { readsOf, settled, untilAll, writesOf } from "./waiting.ts";

export interface FirstSyncOptions {
  readonly objects: number;
  readonly keys: number;
  readonly engine: "v1" | "v2";
}

/** One first sync. */
export interface FirstSync {
  /** From Vault's first answer to the last write to it. */
  readonly ms: number;
  /** From Vault's first answer to the last status or event. */
  readonly msToLastStatus: number;
  /** From the start of the process to the last write. */
  readonly msFromStart: number;
  readonly calls: Calls & { readonly vault: number };
  readonly usage: Usage;
}

/**
 * Runs a subject on objects that were there before it. Its process is stopped, its objects stay.
 * @param subject `fresh`: how many of them nobody has written yet; absent: all
 */
export async function firstSync(
  cluster: Cluster,
  population: Population,
  { fresh = population.count, ...subject }: Omit<SubjectOptions, "place"> & { readonly fresh?: number },
): Promise<FirstSync> {
  await cluster.audit.reset();
  const before = await cluster.calls();
  const running = await Subject.start(cluster, { ...subject, place: population.place });
  try {
    const last = await untilAll(running, fresh, () => writesOf(cluster, population));
    // The others are looked at after the new ones.
    if (fresh < population.count) await untilAll(running, population.count, () => readsOf(cluster, population));
    const { calls, lastKubeWriteAt } = await settled(cluster, before);
    const asked = await cluster.audit.requests(`${population.place.mount}/`);
    const first = Math.min(...asked.map(({ at }) => at));
    return {
      ms: last - first,
      msToLastStatus: lastKubeWriteAt - first,
      msFromStart: last - running.startedAt,
      calls: { ...calls, vault: asked.length },
      usage: running.usage(),
    };
  } finally {
    await running.stop();
  }
}

/** The same calls by the floor, on objects of their own. */
export async function floor(
  cluster: Cluster,
  options: FirstSyncOptions,
  { kmsBy, concurrency, status }: Pick<FloorJob, "kmsBy" | "concurrency" | "status">,
): Promise<FloorReport & { readonly msToLastWrite: number }> {
  const population = await Population.create(cluster, options.engine, options.keys);
  await population.grow(options.objects);
  await cluster.audit.reset();
  const { vault, kubernetes } = cluster.info;
  const { mount, namespace } = population.place;
  const indexes = Array.from({ length: options.objects }, (_, index) => index);
  const report = await runFloor({
    kmsBy,
    kmsEndpoint: cluster.kmsEndpoint,
    ciphertext: population.ciphertext(0),
    engine: options.engine,
    keys: options.keys,
    concurrency,
    objects: indexes.map((index) => ({
      name: population.nameOf(index),
      writePath: population.writePathOf(index),
      readPath: population.readPathOf(index),
    })),
    namespace,
    status,
    vault: { address: vault.address, caPem: vault.caPem, token: vault.rootToken },
    kubernetes: { server: kubernetes.server, caPem: kubernetes.caPem, ...kubernetes.admin },
  });
  const asked = await cluster.audit.requests(`${mount}/`);
  const writes = await writesOf(cluster, population);
  const first = Math.min(...asked.map(({ at }) => at));
  return { ...report, msToLastWrite: Math.max(...writes.map(({ at }) => at)) - first };
}

async function runFloor(job: FloorJob): Promise<FloorReport> {
  const child = spawn(process.execPath, [join(checkout, "bench/floor.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
  });
  child.stdin.end(JSON.stringify(job));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the floor ended with ${code}`);
  return JSON.parse(output);
}
