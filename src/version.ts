// The version of the product, from the one place where it stands.
import packageMetadata from "../package.json" with { type: "json" };

/** Of this build, as in package.json. */
export const productVersion: string = packageMetadata.version;
