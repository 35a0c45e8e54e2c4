// A stand-in for GitHub's API, in this process: what Vault's github backend asks of it (a token's user, organisations and
// teams), for one organisation. GitHub itself cannot be run.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";

/** A running stand-in. */
export interface GitHub extends AsyncDisposable {
  /** The `base_url` of Vault's configuration. */
  readonly url: string;
  /** The organisation's name. */
  readonly organization: string;
}

/** Starts it. @param token the one personal access token that it knows; its user is a member of `team` */
export async function startGitHub({ token, team }: { readonly token: string; readonly team: string }): Promise<GitHub> {
  const organization = { id: 4711, login: "acme" };
  const user = { id: 42, login: "kms-vault-operator" };
  const answers: Readonly<Record<string, unknown>> = {
    "/user": user,
    "/user/orgs": [organization],
    "/user/teams": [{ id: 7, name: team, slug: team, organization }],
  };
  const server = createServer(({ url = "", headers }, response) => {
    const { pathname } = new URL(url, "http://stand-in");
    if (pathname === `/orgs/${organization.login}`) return send(response, 200, organization);
    if (headers.authorization !== `Bearer ${token}`) return send(response, 401, { message: "Bad credentials" });
    const found = answers[pathname];
    return found === undefined ? send(response, 404, { message: "Not Found" }) : send(response, 200, found);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    organization: organization.login,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
