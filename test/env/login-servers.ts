// The servers behind Vault's methods, all that are neither Vault nor the API server: a directory, GitHub's stand-in, AWS.
import { type AwsIdentity, startAwsIdentity } from "./aws-identity.ts";
import { type Directory, startDirectory } from "./directory.ts";
import { type GitHub, startGitHub } from "./github.ts";
import { uniqueName } from "./unique.ts";

/** Who the operator is in the directory. */
export const userName = "kms-vault-operator";
/** Of which team the owner of the GitHub token is a member. */
export const githubTeam = "operators";

/** The running servers, and the secrets that they know. `await using` ends them. */
export interface LoginServers extends AsyncDisposable {
  readonly directory: Directory;
  /** Of `userName`. */
  readonly ldapPassword: string;
  readonly github: GitHub;
  readonly githubToken: string;
  readonly aws: AwsIdentity;
}

/** Starts them all, 3 s; the first time programs are built, which takes a minute. */
export async function startLoginServers(): Promise<LoginServers> {
  const ldapPassword = uniqueName("ldap-password");
  const githubToken = uniqueName("github-token");
  const started = new AsyncDisposableStack();
  try {
    const directory = started.use(await startDirectory({ [userName]: ldapPassword }));
    const github = started.use(await startGitHub({ token: githubToken, team: githubTeam }));
    const aws = started.use(await startAwsIdentity());
    const all = started.move();
    return { directory, ldapPassword, github, githubToken, aws, [Symbol.asyncDispose]: () => all.disposeAsync() };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}
