// What the HTTPS server is told of its certificate, wherever that comes from: files, or one of its own making.

/** A certificate with its private key, both PEM. The certificate is followed by its issuers, if there are any. */
export interface ServingPair {
  readonly cert: string;
  readonly key: string;
}

/** Where the serving certificate comes from. */
export interface ServingCertificate {
  /**
   * Waits for the first pair.
   * @throws OperatorError when there will be none without a human
   */
  first(signal: AbortSignal): Promise<ServingPair>;
  /** Called with each later pair, as soon as it is to be served. Handshakes under way may still end with the last one. */
  onChange(listener: (pair: ServingPair) => void): void;
  close(): Promise<void>;
}
