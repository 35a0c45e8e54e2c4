// Where a path leads, as text alone: from what a user wrote to segments, from segments and a mount to a destination,
// from a destination to the addresses of Vault's API. Always built from the mount, never by replacing text.
import { OperatorError } from "../../base/errors.ts";
import type { Destination, EngineVersion } from "./engine.ts";

/** The segments of a path; at least one, none empty. */
export type Segments = readonly string[];

/**
 * A path as its segments. Slashes at the ends and double ones are ignored, as the original's client did.
 * @throws OperatorError `InvalidPath`: empty, `.` or `..`, control characters, or what is no Unicode text
 */
export function parsePath(path: string): Segments {
  const segments = path.split("/").filter((segment) => segment !== "");
  if (segments.length === 0) throw invalidPath("the path is empty");
  if (segments.some((segment) => segment === "." || segment === "..")) {
    throw invalidPath(`path ${shown(path)} has a segment "." or ".."`);
  }
  if (/\p{Cc}|\p{Cs}/u.test(path)) throw invalidPath(`path ${shown(path)} has a control character or half a character`);
  return segments;
}

/** True when all of a mount's segments come first in the path. */
export function isBelow(segments: Segments, mount: Segments): boolean {
  return mount.length <= segments.length && mount.every((segment, index) => segments[index] === segment);
}

/** A mount and the engine behind it. */
export interface Mount {
  /** Without slashes at its ends. */
  readonly path: string;
  readonly engineVersion: EngineVersion;
}

/**
 * The destination of a path below a mount. On KV v2 a first segment `data` is the API's, and dropped: a logical path
 * that begins with `data` is written `data/data/…`.
 * @throws OperatorError `InvalidPath` when nothing is left below the mount
 */
export function destinationBelow(mount: Mount, segments: Segments, namespace: string): Destination {
  const below = segments.slice(mount.path.split("/").length);
  const logical = mount.engineVersion === "v2" && below[0] === "data" ? below.slice(1) : below;
  if (logical.length === 0) {
    throw invalidPath(`path ${shown(segments.join("/"))} is only the mount; add the secret's own path below it`);
  }
  return { namespace, mount: mount.path, engineVersion: mount.engineVersion, path: logical.join("/") };
}

/**
 * The mount as far as a path itself tells, where Vault does not: on KV v2 what stands before the first `data` (the API
 * path of the contract), else the first segment. On KV v1 it makes no difference to the address where the mount ends.
 */
export function believedMount(segments: Segments, engineVersion: EngineVersion): Mount {
  const data = engineVersion === "v2" ? segments.indexOf("data", 1) : -1;
  return { path: segments.slice(0, data === -1 ? 1 : data).join("/"), engineVersion };
}

/** Address of the data, below `/v1/`, percent-encoded. */
export function dataAddress({ mount, engineVersion, path }: Destination): string {
  return encoded(engineVersion === "v2" ? `${mount}/data/${path}` : `${mount}/${path}`);
}

/** Address of a KV v2 secret's metadata, below `/v1/`, percent-encoded. */
export function metadataAddress({ mount, path }: Destination): string {
  return encoded(`${mount}/metadata/${path}`);
}

/** A path with every segment percent-encoded. */
export function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** How the data's address is named to people: not encoded, as a policy writes it. */
export function dataPath({ namespace, mount, engineVersion, path }: Destination): string {
  return named(engineVersion === "v2" ? `${mount}/data/${path}` : `${mount}/${path}`, namespace);
}

/** How the metadata's address is named to people. */
export function metadataPath({ namespace, mount, path }: Destination): string {
  return named(`${mount}/metadata/${path}`, namespace);
}

function named(path: string, namespace: string): string {
  return namespace === "" ? path : `${path} (namespace ${namespace})`;
}

function invalidPath(problem: string): OperatorError {
  return new OperatorError("InvalidPath", `${problem}; write spec.path as mount/secret, such as secret/data/team/app`);
}

/** Quoted, with control characters escaped. */
function shown(path: string): string {
  return JSON.stringify(path);
}
