// Asks by the client that `cargo murmur clients` has made for meters, whose key has a field of each type, in Node as in a browser.
// It lies in the client's folder, as `asking.mjs`.
//
//     QUESTION        a JSON object with all replies; QUESTION is one too

import { fromJson, toJson } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";

import * as made from "./dist/index.js";

// Long, as a machine that is busy is no reason to fail.
const timeoutMs = 300_000;

// Exact to the nanosecond, which a `Date` is not.
const instant = (text) => (text === undefined ? undefined : fromJson(TimestampSchema, text));

/** What comes of what is asked. */
export async function* answers(url, asked, settings = {}) {
  const question = JSON.parse(asked);
  const keys = question.keys.map(([serial, floor, indoors, since, place]) => {
    return { serial: BigInt(serial), floor: BigInt(floor), indoors, since: instant(since), place };
  });
  const operand = ({ key, window, start, end }) => {
    const length = window === undefined ? undefined : { seconds: BigInt(window) };
    return { key: keys[key], window: length, start: instant(start), end: instant(end) };
  };
  const plain = (messages) =>
    messages.map((message) => toJson(made[`${message.$typeName.split(".").pop()}Schema`], message));

  const client = new made.ByMeterClient(url, { timeoutMs, ...settings });
  const watching = client.watchMany(keys);
  const watched = await watching.next();
  const one = [];
  for (const key of keys) one.push(await client.get(key));
  const sets = [];
  for (const { operation, field, sets: operands } of question.sets) {
    const known = made.murmur.SetOperation[operation.replace("SET_OPERATION_", "")];
    sets.push(await client.combineSets(operands.map(operand), known, { field }));
  }
  await watching.return();
  const many = plain(await client.getMany(keys));
  yield { one: plain(one), many, watched: plain(watched.value.entries), sets: plain(sets) };
}
