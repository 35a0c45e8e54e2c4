// A process that does nothing but lead: it competes for a Lease and, while it leads, writes its name into a ConfigMap
// as fast as it can, through the guarded client. Started and killed by leader-election.test.ts; argument: JSON of Job.
import { systemClock } from "../../src/base/clock.ts";
import { KubeClient } from "../../src/runtime/client.ts";
import type { KubeConnection } from "../../src/runtime/connection.ts";
import { LeaderElector } from "../../src/runtime/leader-election.ts";
import type { Resource } from "../../src/runtime/objects.ts";

/** What the process is told. */
export interface Job {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly lease: string;
  readonly identity: string;
}

const configMaps: Resource = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

function say(event: string): void {
  process.stdout.write(`${event}\n`);
}

async function lead({ connection, namespace, lease, identity }: Job): Promise<void> {
  const common = { connection, logger: silent, clock: systemClock, userAgent: "leader-election-test" };
  const client: KubeClient = new KubeClient({ ...common, beforeMutation: () => elector.assertLeading() });
  const elector = new LeaderElector({ client, namespace, name: lease, identity, logger: silent, clock: systemClock });
  const stop = new AbortController();
  const lost = new AbortController();
  const write = async (): Promise<void> => {
    while (!lost.signal.aborted && !stop.signal.aborted) {
      // A value that changes, so that every write is a new version that a watch sees.
      const body = { data: { writer: identity, at: String(performance.now()) } };
      try {
        await client.patch(configMaps, { namespace, name: lease }, { type: "merge", body });
      } catch (error) {
        say(`refused ${error instanceof Error ? error.message : "?"}`);
        await systemClock.sleep(10);
      }
    }
  };
  let writing = Promise.resolve();
  process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));
  say("running");
  await elector.run(stop.signal, {
    onStartedLeading: () => {
      say("leading");
      writing = write();
    },
    onLost: () => {
      lost.abort();
      say("lost");
    },
  });
  await writing;
  await client.close();
  say("ended");
}

const job: Job = JSON.parse(process.argv[2] ?? "{}");
await lead(job);
