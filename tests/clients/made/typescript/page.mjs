// The same in a browser. The query of the page says what to ask, and by which protocol; what came of it is told to where the
// page is from, with the name of the browser.
//
//     ?url=URL&asked=QUESTION&by=connect|grpc-web
//     ?url=URL&asked=one&by=connect|grpc-web

import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { everything, one } from "./asking.mjs";

async function answers({ url, asked, by }) {
  const settings = by === "grpc-web" ? { transport: createGrpcWebTransport({ baseUrl: url }) } : {};
  return asked === "one" ? await one(url, settings) : await everything(url, JSON.parse(asked), settings);
}

const told = { browser: navigator.userAgent };
try {
  told.answers = await answers(Object.fromEntries(new URLSearchParams(location.search)));
} catch (error) {
  told.failed = String(error?.stack ?? error);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
