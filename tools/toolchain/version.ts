// Reading and comparing the versions that programs print, so that a program found on PATH is taken only when it fits.

/** Major, minor, patch. */
export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** The first `x.y.z` in what a program printed (`etcd Version: 3.6.14`, `Kubernetes v1.37.2`), if there is one. */
export function findVersion(text: string): Version | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** True when `version` has the same major number as `least` and is not older. */
export function fits(version: Version, least: Version): boolean {
  if (version.major !== least.major) return false;
  if (version.minor !== least.minor) return version.minor > least.minor;
  return version.patch >= least.patch;
}

/** `1.37.2` */
export function formatVersion({ major, minor, patch }: Version): string {
  return `${major}.${minor}.${patch}`;
}
