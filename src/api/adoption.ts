// When data that nobody is known to have written is written over: an operator's setting, read by config.ts and obeyed by
// sync/.

/** `original`: on KV v1 always, as the original did, on KV v2 when the object's annotation asks for it. */
export const adoptions = ["original", "always", "never"] as const;
export type Adoption = (typeof adoptions)[number];
