// Reads a binary format from its beginning to its end, and never past it.

/** Every method throws RangeError when the bytes end too early or are not what is read. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** An unsigned integer of so many bytes, the most significant first. */
  uint(size: 1 | 2 | 4): number {
    const at = this.#at;
    this.skip(size);
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  /** The bytes themselves, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#at;
    this.skip(length);
    return this.#bytes.subarray(at, this.#at);
  }

  /** Well-formed UTF-8. */
  text(length: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes(length));
    } catch {
      // Whatever it says, to who reads it is one thing: not what belongs here.
      throw new RangeError("no UTF-8");
    }
  }

  skip(length: number): void {
    if (length > this.#bytes.length - this.#at) throw new RangeError("the bytes end too early");
    this.#at += length;
  }

  expectEnd(): void {
    if (!this.isAtEnd) throw new RangeError("bytes stand behind the end");
  }
}
