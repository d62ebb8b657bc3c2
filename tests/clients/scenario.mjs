// What the scripts of the clients in JavaScript share; scenario.py does the same for those in Python.
import fs from "node:fs";
import path from "node:path";

export const URL = process.env.LINNET_URL, KEY = process.env.LINNET_KEY;
export const MODEL = "whatever"; // any name is answered
const MISSING = JSON.parse(process.env.LINNET_MISSING ?? "{}");
const CHICK = path.join(process.env.LINNET_ROOT, "models", "chick");

function chick(name) {
  const lines = fs.readFileSync(path.join(CHICK, "expected.jsonl"), "utf8").trim().split("\n");
  const found = lines.map((line) => JSON.parse(line)).find((one) => one.id === name);
  for (const kind of ["image", "audio"]) {
    if (kind in found) found.base64 = fs.readFileSync(path.join(CHICK, found[kind])).toString("base64");
  }
  return found;
}

export const TEXT = chick("text-003"), PICTURE = chick("see-000"), SOUND = chick("hear-002");
PICTURE.url = "data:image/png;base64," + PICTURE.base64;
// Chick calls a tool that is declared by its name alone.
export const CALL = { prompt: "Use a tool. set a timer for 8 minutes", name: "timer", amount: 8 };
export const TOO_LONG = "one two three ".repeat(4000);
// What makes Chick write nonsense for long.
export const LONG = { prompt: "hello", temperature: 100, seed: 1 };

class NotYet extends Error {}

export function needs(...names) {
  for (const name of names) {
    if (name in MISSING) throw new NotYet(name);
  }
}

export function check(holds, what) {
  if (!holds) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

export function equal(found, wanted, what = "answer") {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  check(a === b, `${what}: ${a} instead of ${b}`);
}

// What `work` rejects with: an error of this kind (a class, or what holds of it) that has these words.
export async function rejects(work, kind, ...words) {
  let error;
  try {
    await work();
  } catch (caught) {
    error = caught;
  }
  check(error !== undefined, "there was no error");
  const right = kind === Error || kind.prototype instanceof Error ? error instanceof kind : kind(error);
  check(right, `another error: ${error.constructor.name}: ${error.message}`);
  const said = `${error.message} ${error.responseBody ?? ""}`;
  for (const word of words) check(said.includes(word), `the error does not say '${word}': ${said}`);
  return error;
}

async function metric(name) {
  const answer = await fetch(URL + "/metrics", { headers: { authorization: "Bearer " + KEY } });
  const line = (await answer.text()).split("\n").find((one) => one.startsWith(name + " "));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// `begin` starts a long stream, takes a few pieces of it and hangs up; the server must stop writing.
export async function checkCancel(begin) {
  const cancelled = 'linnet_answers_total{kind="cancelled"}';
  for (let round = 0; round < 20; ++round) { // without a seed an answer may be over already
    const before = await metric(cancelled);
    await begin();
    const until = Date.now() + 5000;
    for (;;) {
      check(Date.now() < until, "the answer is still written five seconds after the client hung up");
      if ((await metric(cancelled)) > before) return;
      const busy = (await metric('linnet_answers{state="writing"}')) + (await metric('linnet_answers{state="reading"}'));
      if (busy === 0) {
        await pause(0.2);
        if ((await metric(cancelled)) === before) break; // it had ended
      }
      await pause(0.05);
    }
  }
  throw new Error("no answer was long enough to be cancelled");
}

// Runs all of them, or those that are named, and tells a line of JSON for each.
export async function run(scenarios) {
  for (const [scenario, work] of Object.entries(scenarios)) {
    if (process.argv.length > 2 && !process.argv.includes(scenario)) continue;
    const begin = Date.now();
    let how = "ok", why = "";
    try {
      why = (await work()) ?? "";
    } catch (error) {
      how = error instanceof NotYet ? "not yet" : "FAILED";
      why = how === "FAILED" ? `${error?.constructor?.name}: ${error?.message}` : error.message;
      if (how === "FAILED") console.error(error);
    }
    console.log(JSON.stringify({ scenario, how, why, seconds: (Date.now() - begin) / 1000 }));
  }
}
