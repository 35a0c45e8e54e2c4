// A credential as the environment gives it: in a variable, or in a file that is read again at each login, because
// whoever rotates it replaces the file under a running process.
import { readFile } from "node:fs/promises";
import { codeOf } from "../../base/retry.ts";
import type { PlainValue } from "../../base/plaintext.ts";
import { notSetText } from "./environment.ts";
import { loginFailed } from "./login.ts";

/** Where a credential stands; at most one of `value` and `file`. */
export interface Credential {
  /** The variable that users know it by, such as `VAULT_PASSWORD`; the file is named by that and `_FILE`. */
  readonly variable: string;
  readonly value?: PlainValue;
  readonly file?: string;
}

/** Whether there is one at all. */
export function isGiven({ value, file }: Credential): boolean {
  return value !== undefined || file !== undefined;
}

/**
 * The credential as it is now. Line ends at its end are no part of it.
 * @throws OperatorError `VaultLoginFailed` when there is none, or its file is empty or cannot be read
 */
export async function readCredential({ variable, value, file }: Credential): Promise<string> {
  if (value !== undefined) return withoutLineEnd(String(value.open()));
  if (file === undefined) throw notSet(variable);
  const text = withoutLineEnd(await contentOf(file, variable));
  if (text === "") throw loginFailed(`the file that ${variable}_FILE names is empty`);
  return text;
}

/**
 * A setting that is no secret.
 * @throws OperatorError `VaultLoginFailed` when it is absent
 */
export function required(value: string | undefined, variable: string): string {
  if (value === undefined) throw notSet(variable);
  return value;
}

/** Without the file's name, which may be a secret in the wrong variable. */
async function contentOf(file: string, variable: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw loginFailed(`cannot read the file that ${variable}_FILE names (${codeOf(error)})`);
  }
}

function withoutLineEnd(text: string): string {
  return text.replace(/[\r\n]+$/, "");
}

function notSet(variable: string): Error {
  return loginFailed(notSetText(variable));
}
