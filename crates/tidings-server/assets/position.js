// Where in a room's history this page stands.

// Offsets count without holes within an epoch; a new epoch means that the history began anew.
export class Position {
  epoch = null;
  offset = null;
  tag = undefined;

  // Takes in an event's position and tells what it is: "new" follows on the last one, "seen" was
  // here before, "jump" is new but something before it was missed.
  take({ epoch, offset, tag }) {
    if (epoch === undefined || offset === undefined) return "new";
    const known = this.epoch !== null;
    const sameEpoch = epoch === this.epoch;
    if (sameEpoch && offset <= this.offset) return "seen";
    const follows = !known || (sameEpoch && offset === this.offset + 1);
    this.#set(epoch, offset, tag);
    return follows ? "new" : "jump";
  }

  // Takes over a position the server vouches for; never goes back within an epoch.
  settle({ epoch, offset, tag }) {
    if (epoch === undefined || offset === undefined) return;
    if (epoch === this.epoch && offset <= this.offset) return;
    this.#set(epoch, offset, tag);
  }

  // What a subscription says to go on from here; `undefined` before the first event.
  get since() {
    if (this.epoch === null) return undefined;
    const since = { epoch: this.epoch, offset: this.offset };
    return this.tag === undefined ? since : { ...since, tag: this.tag };
  }

  #set(epoch, offset, tag) {
    this.epoch = epoch;
    this.offset = offset;
    this.tag = tag;
  }
}
