// Reads flags and variables by the tables of config-reference.ts, with their defaults, and gathers everything that is
// wrong with them. What stands in a variable is never quoted: it may be a secret in the wrong place.
import { PlainValue } from "./base/plaintext.ts";
import { type Flag, type FlagName, type VariableName, variables } from "./config-reference.ts";
import type { Parse } from "./config-values.ts";

/** Flags as given on the command line, by name; those absent have their default. */
export type FlagValues<Name extends string = FlagName> = Readonly<Partial<Record<Name, string>>>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Of one command: `Name` are the names of its flags. */
export class Reader<Name extends string = FlagName> {
  readonly problems: string[] = [];
  readonly #flags: FlagValues<Name>;
  readonly #env: Environment;
  readonly #table: readonly Flag[];

  /** @param table the command's flags, with their defaults */
  constructor(flags: FlagValues<Name>, env: Environment, table: readonly (Flag & { readonly name: Name })[]) {
    this.#flags = flags;
    this.#env = env;
    this.#table = table;
  }

  /** A flag's value, or its default's when it is absent or wrong. */
  flag<T>(name: Name, parse: Parse<T>, expected: string): T {
    const given = this.#flags[name];
    const value = given === undefined ? undefined : parse(given);
    if (given !== undefined && value === undefined)
      this.problems.push(`--${name}: must be ${expected}, not "${given}"`);
    return value ?? parsedDefault(name, this.#table, parse);
  }

  /** A variable that has a default: its value, or the default's when it is unset or wrong. */
  variable<T>(name: VariableName, parse: Parse<T>, expected: string): T {
    return this.optional(name, parse, expected) ?? parsedDefault(name, variables, parse);
  }

  /** A variable that has none. */
  optional<T>(name: VariableName, parse: Parse<T>, expected: string): T | undefined {
    const given = this.text(name);
    const value = given === undefined ? undefined : parse(given);
    if (given !== undefined && value === undefined) this.problems.push(`${name}: must be ${expected}`);
    return value;
  }

  /** A variable as it stands, without blanks around it; empty counts as unset. */
  text(name: VariableName): string | undefined {
    return this.#env[name]?.trim() || undefined;
  }

  /** A variable that nothing prints. Line ends, which files and Secrets often have, are no part of it. */
  secret(name: VariableName): PlainValue | undefined {
    const text = this.#env[name]?.replace(/[\r\n]+$/, "");
    return text === undefined || text === "" ? undefined : new PlainValue(text);
  }
}

function parsedDefault<T>(
  name: string,
  table: readonly { readonly name: string; readonly default: string }[],
  parse: Parse<T>,
): T {
  const value = parse(table.find((row) => row.name === name)?.default ?? "");
  if (value === undefined) throw new Error(`the default of ${name} cannot be read`);
  return value;
}
