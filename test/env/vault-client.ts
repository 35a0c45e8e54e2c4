// The tests' own Vault client, as root unless told otherwise: paths are API paths without the leading v1/.
import type { JsonRequest, JsonResponse } from "./http.ts";
import { HttpError, JsonClient } from "./http.ts";
import type { VaultInfo } from "./openbao.ts";

type Answer = JsonResponse["body"];

/** Every method throws HttpError when Vault refuses. */
export class VaultClient {
  readonly #client: JsonClient;

  constructor(info: VaultInfo, token: string = info.rootToken) {
    this.#client = new JsonClient(info.address, { caPem: info.caPem }, { "x-vault-token": token });
  }

  /** The `data` of the answer, or undefined when there is nothing at the path. */
  async read(path: string): Promise<Answer> {
    return (await this.#find({ method: "GET", path: `/v1/${path}` }))?.data;
  }

  /** The whole answer; undefined for an empty one. */
  async write(path: string, body: object = {}): Promise<Answer> {
    return this.#client.send({ method: "POST", path: `/v1/${path}`, body });
  }

  /** The names below a path; none when there is nothing. */
  async list(path: string): Promise<string[]> {
    return (await this.#find({ method: "LIST", path: `/v1/${path}` }))?.data.keys ?? [];
  }

  async delete(path: string): Promise<void> {
    await this.#client.send({ method: "DELETE", path: `/v1/${path}` });
  }

  /** Any request, any answer. */
  ask(asked: JsonRequest): Promise<JsonResponse> {
    return this.#client.ask(asked);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #find(asked: JsonRequest): Promise<Answer> {
    const answer = await this.#client.ask(asked);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new HttpError(asked, answer);
    return answer.body;
  }
}
