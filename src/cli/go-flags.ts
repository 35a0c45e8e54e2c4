// Users' manifests were written for Go's flag package: -flag and --flag, a value after = or as the next argument,
// booleans with or without =false, and nothing read after the first argument that is no flag. This rewrites such a
// command line into the one form that commander reads the same way, so that commander can do the rest.

/** A flag, as far as its syntax goes. */
export interface GoFlag {
  /** Without dashes. */
  readonly name: string;
  /** A boolean takes its value only after `=`; without one it is true. */
  readonly boolean: boolean;
  /** The original had it, and passed over it behind an argument that is no flag; manifests may rely on that. */
  readonly original: boolean;
}

export interface NormalisedFlags {
  /** `--name=value` for every flag, `--help` when help was asked for, then `--` and the arguments that are no flags. */
  readonly args: readonly string[];
  /** In the words of Go's flag package, all of them (it stops at the first). */
  readonly problems: readonly string[];
}

/**
 * Reads `args` as Go's `flag.FlagSet.Parse` does.
 * @param args without the program and the subcommand
 * @param flags what is defined; `-h` and `-help` need no definition
 */
export function normaliseGoFlags(args: readonly string[], flags: readonly GoFlag[]): NormalisedFlags {
  const known = new Map(flags.map((flag) => [flag.name, flag]));
  const normalised: string[] = [];
  const problems: string[] = [];
  let next = 0;
  for (; next < args.length; next += 1) {
    const arg = args[next] ?? "";
    if (arg === "--") {
      next += 1;
      break;
    }
    if (!arg.startsWith("-") || arg === "-") break;
    const [, name, value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined) {
      problems.push(`bad flag syntax: ${withoutValue(arg)}`);
      continue;
    }
    const flag = known.get(name);
    const following = args[next + 1];
    if (flag === undefined) {
      if (name === "h" || name === "help") {
        normalised.push("--help");
        continue;
      }
      problems.push(`flag provided but not defined: -${name}`);
      // Most likely its value; going on past it finds the other problems of the line.
      if (value === undefined && following !== undefined && !following.startsWith("-")) next += 1;
    } else if (flag.boolean || value !== undefined) {
      normalised.push(`--${name}=${value ?? "true"}`);
    } else if (following === undefined) {
      problems.push(`flag needs an argument: -${name}`);
    } else {
      normalised.push(`--${name}=${following}`);
      next += 1;
    }
  }
  const rest = args.slice(next);
  problems.push(...passedOver(rest, known));
  return { args: rest.length === 0 ? normalised : [...normalised, "--", ...rest], problems };
}

/** Who wrote a flag that restricts something must not be left without it, and not know. */
function passedOver(rest: readonly string[], known: ReadonlyMap<string, GoFlag>): string[] {
  return rest.flatMap((arg) => {
    const name = /^--?([^-=][^=]*)/.exec(arg)?.[1] ?? "";
    const flag = known.get(name);
    if (flag === undefined || flag.original) return [];
    return [
      `-${name} stands behind an argument that is no flag, where nothing is read: take that away (the value of a boolean stands behind =)`,
    ];
  });
}

/** What a mistyped flag was meant to carry may be a secret. */
function withoutValue(arg: string): string {
  const equals = arg.indexOf("=");
  return equals === -1 ? arg : `${arg.slice(0, equals)}=…`;
}
