// Our own KMS emulator, inside this process.
import { type KmsEmulator, startKmsEmulator } from "../../src/kms/emulator/emulator.ts";
import { freePort } from "./ports.ts";

/** Where KMS is. Plain data: it crosses to the test workers. */
export interface KmsInfo {
  /** Value of AWS_ENDPOINT_URL_KMS. */
  readonly endpoint: string;
}

/** A running emulator. */
export interface Kms {
  readonly info: KmsInfo;
  /** Stops listening: callers are refused. */
  stop(): Promise<void>;
  /** Listens again on the same port, with the same keys when it was started with a state file. */
  start(): Promise<void>;
}

/**
 * Starts the emulator.
 * @param stateFile keeps the keys over `stop` and `start`
 */
export async function startKms(stateFile?: string): Promise<Kms> {
  const listen = `127.0.0.1:${await freePort()}`;
  const start = () => startKmsEmulator({ listen, ...(stateFile !== undefined && { stateFile }) });
  let running: KmsEmulator | undefined = await start();
  return {
    info: { endpoint: running.url },
    async stop() {
      await running?.close();
      running = undefined;
    },
    async start() {
      running ??= await start();
    },
  };
}
