// Asks by the client in whose folder it lies, in Node, with what lies beside it.
//
//     ask.mjs URL ASKED      prints each answer when it comes

import { answers } from "./asking.mjs";

const [url, asked] = process.argv.slice(2);
for await (const answer of answers(url, asked)) console.log(JSON.stringify(answer));
