// Asks by the client that `cargo murmur clients` has made for page-traffic, in Node. It lies in the client's folder.
//
//     ask.mjs URL QUESTION      prints a JSON object with all replies; QUESTION is one too
//     ask.mjs URL one           makes one call with a token; prints how it ended

import { everything, one } from "./asking.mjs";

const [url, asked] = process.argv.slice(2);
console.log(JSON.stringify(asked === "one" ? await one(url) : await everything(url, JSON.parse(asked))));
