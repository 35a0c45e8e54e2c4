// Pages for whoever has to find out why the process does what it does; off unless an address is given. /debug/state says
// what it is at, by names of objects; /debug/profile what it spends its time on. There is no heap snapshot and there will
// be none: it would hold secrets.
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../base/clock.ts";
import { type Address, type Answer, closed, listening, serverOf } from "./http-server.ts";

export interface DebugOptions {
  readonly address: Address;
  readonly clock: Clock;
  /** What the process is at. Its values must be JSON, and may name objects but hold no values of theirs. */
  readonly state: () => Readonly<Record<string, unknown>>;
}

/** What listens, until it is closed. */
export interface DebugServer {
  readonly port: number;
  close(): Promise<void>;
}

const longestProfileSeconds = 60;
const nanosecondsPerMs = 1e6;

/** @throws OperatorError `InternalError` when the address cannot be listened on */
export async function startDebug({ address, clock, state }: DebugOptions): Promise<DebugServer> {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const startedAt = clock.monotonic();
  let profiling = false;
  const server = serverOf({
    "/debug/state": () =>
      json({
        uptimeSeconds: Math.round((clock.monotonic() - startedAt) / 1_000),
        memoryBytes: process.memoryUsage(),
        eventLoopDelayMs: {
          mean: delay.mean / nanosecondsPerMs,
          p99: delay.percentile(99) / nanosecondsPerMs,
          max: delay.max / nanosecondsPerMs,
        },
        ...state(),
      }),
    "/debug/profile": async (query) => {
      const seconds = Number(query.get("seconds") ?? 10);
      if (!(seconds >= 1 && seconds <= longestProfileSeconds)) {
        return { status: 400, body: `seconds must be from 1 to ${longestProfileSeconds}\n` };
      }
      if (profiling) return { status: 409, body: "a profile is being taken already; try again when it is done\n" };
      profiling = true;
      try {
        return json(await cpuProfile(seconds, clock));
      } finally {
        profiling = false;
      }
    },
  });
  const port = await listening(server, address, "debug pages");
  return {
    port,
    async close() {
      delay.disable();
      await closed(server);
    },
  };
}

/** In V8's .cpuprofile format: browsers' developer tools open it. */
async function cpuProfile(seconds: number, clock: Clock): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await clock.sleep(seconds * 1_000);
    return (await session.post("Profiler.stop")).profile;
  } finally {
    session.disconnect();
  }
}

function json(value: object): Answer {
  return { status: 200, contentType: "application/json", body: `${JSON.stringify(value)}\n` };
}
