// Reads a daemon with monero-ts and writes what it made of the answers to file descriptor 3. stdout and stderr are left to
// the library, which prints warnings there.
//
// stdin: {"config": {uri, username, password, proxyToWorker}, "calls": ["getPeers", …]}
// fd 3: [{"returned": VALUE} or {"raised": CLASS, "code": …, "message": …}, …], in which an object's members are
// {"type": typeof, "value": …}
"use strict";

const fs = require("fs");
const moneroTs = require("monero-ts");

function typed(value) {
  if (Array.isArray(value)) return value.map(typed);
  if (value === null || typeof value !== "object") {
    return { type: typeof value, value: typeof value === "bigint" ? value.toString() : value };
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([name, v]) => [name, typed(v)]),
  );
}

async function main() {
  const { config, calls } = JSON.parse(fs.readFileSync(0, "utf8"));
  const daemon = await moneroTs.connectToDaemonRpc(config);
  const outcomes = [];
  for (const call of calls) {
    try {
      outcomes.push({ returned: typed(await daemon[call]()) });
    } catch (e) {
      outcomes.push({ raised: e.constructor.name, code: e.code, message: e.message });
    }
  }
  fs.writeFileSync(3, JSON.stringify(outcomes));
  await moneroTs.shutdown();
  process.exit(0); // a worker that is left would hold it
}

main();
