// The YAML library as a module of ours, to be imported lazily: in the bundle a dynamic import of a CommonJS package
// itself has no named exports.
export { parse } from "yaml";
