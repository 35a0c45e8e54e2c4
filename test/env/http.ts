// One small JSON-over-HTTP client on undici for the tests' own requests, so that what is tested and what checks it do
// not share code.
import { Agent, request } from "undici";

export interface Tls {
  readonly caPem: string;
  readonly certPem?: string;
  readonly keyPem?: string;
}

export interface JsonRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer, whatever its status. `body` is the parsed JSON, or the text when it is none. */
export interface JsonResponse {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
  readonly body: any;
}

/** The answer was not 2xx. The message holds the request line, the status and the body. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  readonly body: unknown;

  constructor(asked: JsonRequest, { status, body }: JsonResponse) {
    super(`${asked.method} ${asked.path} answered ${status}: ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

/** A client for one server. */
export class JsonClient {
  readonly #origin: string;
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(origin: string, tls?: Tls, headers: Readonly<Record<string, string>> = {}) {
    this.#origin = origin;
    this.#headers = headers;
    this.#agent = new Agent({
      allowH2: false,
      ...(tls && {
        connect: {
          ca: tls.caPem,
          ...(tls.certPem !== undefined && { cert: tls.certPem }),
          ...(tls.keyPem !== undefined && { key: tls.keyPem }),
        },
      }),
    });
  }

  /** Rejects only when there is no answer. */
  async ask(asked: JsonRequest): Promise<JsonResponse> {
    const { statusCode, body } = await request(`${this.#origin}${asked.path}`, {
      method: asked.method,
      dispatcher: this.#agent,
      headers: {
        ...(asked.body !== undefined && { "content-type": "application/json" }),
        ...this.#headers,
        ...asked.headers,
      },
      ...(asked.body !== undefined && {
        body: typeof asked.body === "string" ? asked.body : JSON.stringify(asked.body),
      }),
    });
    return { status: statusCode, body: parse(await body.text()) };
  }

  /** The body of a 2xx answer. @throws HttpError for any other */
  async send(asked: JsonRequest): Promise<JsonResponse["body"]> {
    const answer = await this.ask(asked);
    if (answer.status < 200 || answer.status > 299) throw new HttpError(asked, answer);
    return answer.body;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
