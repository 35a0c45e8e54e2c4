// What the documents about what is shipped are called, where they lie, and what they are about: the build writes them,
// the image holds them, the tools and the docs' tests read them.

/** Licences of everything in the bundle, as text; in dist/, so in the image and in the npm package. */
export const licencesFile = "THIRD-PARTY-LICENSES";

/** What is in the bundle, as CycloneDX; in dist/ as well. Scanners of images take a file of this name for a list. */
export const bundleBom = "kms-vault-operator.cdx.json";

/** Where the project lives. */
export const repository = "https://github.com/patoarvizu/kms-vault-operator";
