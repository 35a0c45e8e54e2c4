// Who waits for a turn, object by object: each object in line gets one turn for one of its entries and goes to the end of
// the line, so that one with a thousand entries does not hold up one with a single entry.

/** `Owner` is what entries belong to, by identity. */
export class FairQueue<Owner extends object, Entry> {
  /** In the order of their turns; none is empty. */
  readonly #line: { readonly owner: Owner; readonly entries: Entry[] }[] = [];
  #size = 0;

  /** Entries that wait. */
  get size(): number {
    return this.#size;
  }

  /** Owners in line: who comes new gets the first turn after one of each of them. */
  get owners(): number {
    return this.#line.length;
  }

  /** @param isFirst before the others of its owner; and its owner before the others in line, if it is not there yet */
  add(owner: Owner, entry: Entry, isFirst: boolean): void {
    this.#size += 1;
    const known = this.#line.find((one) => one.owner === owner);
    if (known === undefined) this.#line[isFirst ? "unshift" : "push"]({ owner, entries: [entry] });
    else known.entries[isFirst ? "unshift" : "push"](entry);
  }

  /** Takes the next. */
  shift(): Entry | undefined {
    const first = this.#line.shift();
    const entry = first?.entries.shift();
    if (first === undefined || entry === undefined) return undefined;
    this.#size -= 1;
    if (first.entries.length > 0) this.#line.push(first);
    return entry;
  }

  /** Takes one out, if it is there. */
  remove(owner: Owner, entry: Entry): void {
    const at = this.#line.findIndex((one) => one.owner === owner);
    const entries = this.#line[at]?.entries ?? [];
    const index = entries.indexOf(entry);
    if (index < 0) return;
    entries.splice(index, 1);
    this.#size -= 1;
    if (entries.length === 0) this.#line.splice(at, 1);
  }

  /** Takes all entries of the owners behind the first so many. */
  cut(owners: number): { readonly owner: Owner; readonly entries: readonly Entry[] }[] {
    const behind = this.#line.splice(owners);
    for (const { entries } of behind) this.#size -= entries.length;
    return behind;
  }

  /** Takes all. */
  drain(): Entry[] {
    this.#size = 0;
    return this.#line.splice(0).flatMap(({ entries }) => entries);
  }
}
