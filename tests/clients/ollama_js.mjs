// The npm package `ollama`.
import { Ollama } from "ollama";

import { CALL, KEY, LONG, MODEL, PICTURE, TEXT, TOO_LONG, URL, check, checkCancel, equal, needs, rejects,
         run } from "./scenario.mjs";

const clientOf = (key) => new Ollama({ host: URL, headers: { authorization: "Bearer " + key } });
const client = clientOf(KEY);
const request = (content, more = {}) =>
  ({ model: MODEL, messages: [{ role: "user", content }], options: { temperature: 0 }, ...more });

async function ask(content, more) {
  needs("/api/chat");
  return client.chat(request(content, more));
}

await run({
  async models() {
    needs("/api/chat");
    const { models } = await client.list();
    equal(models.length, 1);
    check((await client.show({ model: models[0].name })).capabilities.includes("completion"), "no capabilities");
  },
  async text() {
    const answer = await ask(TEXT.prompt);
    equal([answer.message.content, answer.done, answer.done_reason], [TEXT.answer, true, "stop"]);
    const generated = await client.generate({ model: MODEL, prompt: TEXT.prompt, options: { temperature: 0 } });
    equal(generated.response, TEXT.answer);
  },
  async stream() {
    let text = "";
    for await (const piece of await ask(TEXT.prompt, { stream: true })) text += piece.message.content;
    equal(text, TEXT.answer);
  },
  async tools() {
    const { message } = await ask(CALL.prompt);
    const call = message.tool_calls[0].function;
    equal([call.name, call.arguments.amount], [CALL.name, CALL.amount]);
    const after = await client.chat({
      model: MODEL, options: { temperature: 0, num_predict: 20 },
      tools: [{ type: "function", function: { name: CALL.name, description: "", parameters: { type: "object" } } }],
      messages: [{ role: "user", content: CALL.prompt }, message,
                 { role: "tool", tool_name: CALL.name, content: "the timer runs" }],
    });
    check(after.done, after);
  },
  async picture() {
    needs("/api/chat");
    const answer = await client.chat({
      model: MODEL, options: { temperature: 0 },
      messages: [{ role: "user", content: PICTURE.prompt, images: [PICTURE.base64] }],
    });
    check(answer.prompt_eval_count > 60, answer);
  },
  async errors() {
    needs("/api/chat");
    await rejects(() => ask(TOO_LONG), Error, "context", "4096");
    await rejects(() => clientOf("wrong").chat(request("hello")), Error, "key");
  },
  async cancel() {
    needs("/api/chat");
    await checkCancel(async () => {
      const own = clientOf(KEY);
      const stream = await own.chat(
        request(LONG.prompt, { stream: true, options: { temperature: LONG.temperature, seed: LONG.seed } }));
      let pieces = 0;
      try {
        for await (const _ of stream) {
          if (++pieces === 3) own.abort();
        }
      } catch (error) {
        equal(error.name, "AbortError");
      }
    });
  },
});
