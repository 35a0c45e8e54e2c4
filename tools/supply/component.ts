// One thing that is shipped, whatever it comes from: an npm package in the bundle, Node.js, a Debian package of the base
// image, the operator itself. The lists of contents and the licence report are written from these.

/** A thing that is shipped, with its origin. */
export interface Component {
  /** As its registry calls it, `@scope/name` for a scoped npm package. */
  readonly name: string;
  readonly version: string;
  /** `npm` is an npm package, `deb` a Debian package, `node` the Node.js that runs the operator, `image` an image. */
  readonly kind: "npm" | "deb" | "node" | "image";
  /** Package URL; what scanners look most vulnerabilities up by. */
  readonly purl: string;
  /** Its name in the NVD's words, for what no scanner finds by its package URL. */
  readonly cpe?: string;
  /** SPDX licence expression as its publisher declares it; absent when they declare it in prose only. */
  readonly licence?: string;
}

/** A component, and the licence texts that came with it. */
export interface LicensedComponent extends Component {
  /** Contents of its LICENSE, NOTICE and like files; empty when it has none. */
  readonly texts: readonly string[];
}

/** What a list of contents is about, and what it holds. */
export interface Inventory {
  /** What the list describes. */
  readonly subject: Component;
  /** What is in it, in any order. */
  readonly components: readonly Component[];
  /** When the described thing was made (its commit's time, so that the list can be made again); absent: not said. */
  readonly made?: Date;
}

/** The package URL of an npm package. */
export function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${encodeURIComponent(version)}`;
}

/** In the order of their kind and name, so that a list has one form only. */
export function sorted<C extends Component>(components: readonly C[]): C[] {
  return components.toSorted((a, b) => (a.purl < b.purl ? -1 : a.purl > b.purl ? 1 : 0));
}
