// moto, an AWS by others: the second opinion of the conformance suite. Installed at its first use.
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { JsonClient } from "./http.ts";
import { freePort } from "./ports.ts";
import { ProcessGroup } from "./processes.ts";

/** A running moto. `await using` ends it, and so does the end of the process. */
export interface Moto extends AsyncDisposable {
  /** AWS_ENDPOINT_URL of all its services (KMS, STS, IAM and more). */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts moto; the first time it is installed, which takes about 20 s. */
export async function startMoto(): Promise<Moto> {
  const { moto_server: program } = await resolveToolchain(["moto_server"], timedProgress(process.stderr));
  const group = await ProcessGroup.create();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const client = new JsonClient(url);
  const close = async () => {
    await group.stop();
    await client.close();
  };
  try {
    await group.start({
      name: "moto",
      program,
      args: ["-H", "127.0.0.1", "-p", String(port)],
      ready: async () => (await client.ask({ method: "GET", path: "/moto-api/data.json" })).status === 200,
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { url, close, [Symbol.asyncDispose]: close };
}
