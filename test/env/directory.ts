// A directory server (GLAuth) that speaks LDAP over TLS, for the ldap method. Its people stand in a file with hashes of
// their passwords. Built at its first use.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { join } from "node:path";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { createAuthority } from "./certificates.ts";
import { freePort } from "./ports.ts";
import { ProcessGroup } from "./processes.ts";

/** A running directory server. `await using` ends it, and so does the end of the process. */
export interface Directory extends AsyncDisposable {
  /** `ldaps://127.0.0.1:<port>` */
  readonly url: string;
  /** Who signed its certificate. */
  readonly caPem: string;
  /** Below which its people are found. */
  readonly userDn: string;
}

/** Starts it with people who may bind by `cn=<name>,<userDn>`. @param people name → password */
export async function startDirectory(people: Readonly<Record<string, string>>): Promise<Directory> {
  const { glauth: program } = await resolveToolchain(["glauth"], timedProgress(process.stderr));
  const [group, port, authority] = await Promise.all([ProcessGroup.create(), freePort(), createAuthority("LDAP CA")]);
  const { certPem, keyPem } = await authority.server("directory");
  const file = (name: string) => join(group.directory, name);
  writeFileSync(file("server.crt"), certPem);
  writeFileSync(file("server.key"), keyPem, { mode: 0o600 });
  writeFileSync(file("directory.toml"), configurationOf(port, people, file));
  try {
    await group.start({
      name: "directory",
      program,
      args: ["-c", file("directory.toml")],
      ready: () => answers(port, authority.caPem),
    });
  } catch (error) {
    await group.stop();
    throw error;
  }
  return {
    url: `ldaps://127.0.0.1:${port}`,
    caPem: authority.caPem,
    userDn: `ou=${unit},${baseDn}`,
    [Symbol.asyncDispose]: () => group.stop(),
  };
}

const baseDn = "dc=example,dc=com";
const unit = "services";
const unitNumber = 5500;

function configurationOf(
  port: number,
  people: Readonly<Record<string, string>>,
  file: (name: string) => string,
): string {
  const text = (value: string) => JSON.stringify(value);
  const users = Object.entries(people).map(
    ([name, password], index) => `
[[users]]
  name = ${text(name)}
  uidnumber = ${5000 + index}
  primarygroup = ${unitNumber}
  passsha256 = ${text(createHash("sha256").update(password).digest("hex"))}
  [[users.capabilities]]
    action = "search"
    object = "*"
`,
  );
  return `
[ldap]
  enabled = false
[ldaps]
  enabled = true
  listen = "127.0.0.1:${port}"
  cert = ${text(file("server.crt"))}
  key = ${text(file("server.key"))}
[backend]
  datastore = "config"
  baseDN = ${text(baseDn)}
  nameformat = "cn"
  groupformat = "ou"
[behaviors]
  # Tests try wrong passwords.
  LimitFailedBinds = false
[[groups]]
  name = ${text(unit)}
  gidnumber = ${unitNumber}
${users.join("")}`;
}

/** Whether TLS is spoken at the port. */
function answers(port: number, caPem: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca: caPem }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", reject);
  });
}
