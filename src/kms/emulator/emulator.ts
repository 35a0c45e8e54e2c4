// A key management service of our own for development and tests only: AWS KMS's JSON 1.1 protocol over plain HTTP on
// loopback, with real AES-256-GCM. It exists because the stand-ins that there are differ from AWS where it matters here
// (they decrypt with disabled keys, mix up encryption contexts and never throttle). Signatures are not checked.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "../../base/clock.ts";
import { adminRoute } from "./admin.ts";
import { AwsError } from "./aws-error.ts";
import { CallCounter, Faults } from "./faults.ts";
import { parseInput } from "./input.ts";
import { KeyStore } from "./key-store.ts";
import { parseLoopback } from "./loopback.ts";
import { operations } from "./operations.ts";

export interface KmsEmulatorOptions {
  /** `host:port` on loopback, IPv6 in brackets; port 0 (the default) takes a free one. */
  readonly listen?: string;
  /** File in which keys and aliases outlive a restart; absent: they live as long as the emulator. */
  readonly stateFile?: string;
  readonly clock?: Clock;
}

/** A running emulator. */
export interface KmsEmulator {
  /** `http://host:port`: the value for AWS_ENDPOINT_URL_KMS; admin routes are under `/_admin/`. */
  readonly url: string;
  /** Stops listening and breaks every connection. */
  close(): Promise<void>;
}

const contentType = "application/x-amz-json-1.1";
const targetPrefix = "TrentService.";
const defaultRegion = "us-east-1";

/**
 * Starts an emulator and resolves when it listens.
 * @throws Error when the address is not on loopback or taken, or the state file cannot be used
 */
export async function startKmsEmulator(options: KmsEmulatorOptions = {}): Promise<KmsEmulator> {
  const { host, port } = parseLoopback(options.listen ?? "127.0.0.1:0");
  const clock = options.clock ?? systemClock;
  const service = new Service(new KeyStore(options.stateFile), clock);
  const server = createServer((request, response) => service.answer(request, response));
  // As AWS's front ends do; the default of 5 s makes idle clients race with the closing of their connections.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`,
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

/** Takes requests from HTTP to the operations, by way of the faults and the counter. */
class Service {
  readonly #keys: KeyStore;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #calls = new CallCounter();

  constructor(keys: KeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
    this.#faults = new Faults(clock);
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => response.destroy());
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      if (request.url?.startsWith("/_admin/") === true) {
        const { status, json } = adminRoute(request.method, request.url, body, {
          faults: this.#faults,
          calls: this.#calls,
        });
        send(response, status, "application/json", json);
      } else {
        this.#call(request, response, body);
      }
    });
  }

  #call(request: IncomingMessage, response: ServerResponse, body: string): void {
    const target = String(request.headers["x-amz-target"] ?? "");
    const operation = target.startsWith(targetPrefix) ? target.slice(targetPrefix.length) : "unknown";
    this.#calls.arrived(operation);
    const { latencyMs, failure } = this.#faults.judge(operation, regionOf(request.headers.authorization));
    const finish = () => {
      if (failure === "reset" || failure === "hang") {
        this.#calls.ended(failure);
        if (failure === "reset") request.socket.resetAndDestroy();
        return;
      }
      this.#calls.ended(this.#respond(request, response, operation, failure ?? body));
    };
    if (latencyMs > 0) this.#clock.after(latencyMs, finish);
    else finish();
  }

  /** @returns AWS's name of the error that was answered */
  #respond(
    request: IncomingMessage,
    response: ServerResponse,
    operation: string,
    work: string | AwsError,
  ): string | undefined {
    try {
      if (work instanceof AwsError) throw work;
      const output = this.#perform(request, operation, work);
      send(response, 200, contentType, output);
      return undefined;
    } catch (error) {
      const answer = error instanceof AwsError ? error : new AwsError("KMSInternalException", "bug in the emulator");
      response.setHeader("x-amzn-errortype", answer.type);
      send(response, answer.status, contentType, {
        __type: answer.type,
        ...(answer.message !== "" && { message: answer.message }),
      });
      return answer.type;
    }
  }

  #perform(request: IncomingMessage, operation: string, body: string): object {
    const perform = operations.get(operation);
    if (request.method !== "POST" || perform === undefined) throw new AwsError("UnknownOperationException");
    const { authorization } = request.headers;
    if (authorization === undefined) {
      throw new AwsError("MissingAuthenticationTokenException", "Request is missing Authentication Token");
    }
    return perform(parseInput(body), { keys: this.#keys, clock: this.#clock, region: regionOf(authorization) });
  }
}

/** The region of a signature: `… Credential=<key id>/<date>/<region>/kms/aws4_request, …`. */
function regionOf(authorization: string | undefined): string {
  return /Credential=[^/]+\/\d+\/([^/]+)\//.exec(authorization ?? "")?.[1] ?? defaultRegion;
}

function send(response: ServerResponse, status: number, type: string, json: object): void {
  const body = JSON.stringify(json);
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "x-amzn-requestid": randomUUID(),
  });
  response.end(body);
}
