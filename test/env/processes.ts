// Server processes that never outlive us. Each is a child in a process group of its own (Ctrl-C reaches only us, so that
// we end things in order); one tiny shell, the reaper, kills whatever is left and removes the data directory when our
// end of its pipe closes, however we died.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What a server that is to be started needs. */
export interface ServerCommand {
  /** What errors call it; its log is `<name>.log` in the data directory. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Besides PATH, HOME and TMPDIR. Servers see nothing else of ours: BAO_… or KUBE… variables would change them. */
  readonly env?: NodeJS.ProcessEnv;
  /** Asked until it returns true; it may throw while the server is not up yet. */
  ready(): Promise<boolean>;
  /** Default 60 s: generous, because a machine under load is slow, not broken. */
  readonly readyWithinMs?: number;
}

const reaperScript = `
trap '' INT TERM HUP
pids=
while read -r what value; do
  case $what in
    add) pids="$pids $value " ;;
    remove) pids=$(printf %s "$pids" | sed "s/ $value / /") ;;
    directory) directory=$value ;;
  esac
done
for pid in $pids; do kill -KILL "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null; done
if [ -n "$directory" ]; then rm -rf "$directory"; fi
`;

/** The processes and the data directory of one stack. */
export class ProcessGroup {
  readonly directory: string;
  readonly #reaper: ChildProcess;
  readonly #servers = new Set<Server>();
  #stopped = false;

  private constructor(directory: string) {
    this.directory = directory;
    this.#reaper = spawn("sh", ["-c", reaperScript], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    // The reaper is to notice our end, not to keep it from coming.
    this.#reaper.unref();
    this.#tellReaper(`directory ${directory}`);
  }

  /** Makes the data directory and starts the reaper. */
  static async create(): Promise<ProcessGroup> {
    return new ProcessGroup(await mkdtemp(join(tmpdir(), "kms-vault-operator-")));
  }

  /**
   * Starts a server and resolves when it is ready.
   * @throws Error with the last lines of its log when it ends or is not ready in time
   */
  async start(command: ServerCommand): Promise<Server> {
    if (this.#stopped) throw new Error(`${command.name} is not started: its stack has been stopped`);
    const log = join(this.directory, `${command.name}.log`);
    const descriptor = openSync(log, "a");
    const child = spawn(command.program, command.args, {
      cwd: this.directory,
      env: { ...plainEnvironment(), ...command.env },
      stdio: ["ignore", descriptor, descriptor],
      detached: true,
    });
    closeSync(descriptor);
    const server = this.adopt(child, command.name, "leader");
    // A server keeps nobody waiting: what holds the process is the work that uses it.
    child.unref();
    try {
      await untilReady(command, child);
    } catch (error) {
      await server.stop();
      throw new Error(`${(error as Error).message}\n${lastLines(log)}`, { cause: error });
    }
    return server;
  }

  /** Ends every server and removes the data directory. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#servers].map((server) => server.stop()));
    await rm(this.directory, { recursive: true, force: true });
    const exited = this.#reaper.exitCode === null ? once(this.#reaper, "exit") : undefined;
    this.#reaper.ref();
    this.#reaper.stdin?.end();
    await exited;
  }

  /**
   * Takes a process that was started elsewhere into the group: it ends with it.
   * @param place "leader": it leads a process group of its own (`detached`), so its own children end with it as well
   */
  adopt(child: ChildProcess, name = "process", place: "leader" | "member" = "member"): Server {
    const server = new Server(name, child, place === "leader");
    this.#servers.add(server);
    if (child.pid !== undefined) this.#tellReaper(`add ${child.pid}`);
    const gone = () => {
      this.#servers.delete(server);
      if (child.pid !== undefined) this.#tellReaper(`remove ${child.pid}`);
    };
    child.once("exit", gone);
    child.once("error", gone);
    return server;
  }

  #tellReaper(line: string): void {
    this.#reaper.stdin?.write(`${line}\n`);
  }
}

/** One server process. */
export class Server {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #leads: boolean;

  constructor(name: string, child: ChildProcess, leads: boolean) {
    this.name = name;
    this.#child = child;
    this.#leads = leads;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** SIGHUP makes some servers read their files again. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends the process: SIGTERM, or SIGKILL (as well when SIGTERM takes more than 5 s). Harmless when it has ended. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || hasEnded(this.#child)) return;
    const exited = once(this.#child, "exit");
    this.#child.ref();
    this.#kill(pid, signal);
    const ended = await Promise.race([exited.then(() => true), sleep(5_000, false, { ref: false })]);
    if (!ended) this.#kill(pid, "SIGKILL");
    await exited;
  }

  /** What it started (the plugins of a Vault) gets the signal too, or it would outlive a SIGKILL. */
  #kill(pid: number, signal: NodeJS.Signals): void {
    if (this.#leads) process.kill(-pid, signal);
    else this.#child.kill(signal);
  }
}

async function untilReady(command: ServerCommand, child: ChildProcess): Promise<void> {
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  const until = performance.now() + (command.readyWithinMs ?? 60_000);
  let lastError: unknown;
  while (performance.now() < until) {
    if (failure !== undefined) throw new Error(`${command.name} could not be started: ${failure.message}`);
    if (hasEnded(child))
      throw new Error(`${command.name} ended while starting (${child.exitCode ?? child.signalCode})`);
    try {
      if (await command.ready()) return;
    } catch (error) {
      lastError = error;
    }
    await sleep(25);
  }
  throw new Error(`${command.name} was not ready in time`, { cause: lastError });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function lastLines(file: string): string {
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-20).join("\n");
}

function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(["PATH", "HOME", "TMPDIR"].map((name) => [name, process.env[name]]));
}
