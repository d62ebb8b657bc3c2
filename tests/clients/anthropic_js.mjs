// The npm package `@anthropic-ai/sdk`.
import Anthropic from "@anthropic-ai/sdk";

import { CALL, KEY, LONG, MODEL, PICTURE, TEXT, TOO_LONG, URL, check, checkCancel, equal, needs, rejects,
         run } from "./scenario.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const request = (content, more = {}) =>
  ({ model: MODEL, max_tokens: 100, temperature: 0, messages: [{ role: "user", content }], ...more });

async function ask(content, more) {
  needs("/v1/messages");
  return client.messages.create(request(content, more));
}

await run({
  async text() {
    const answer = await ask(TEXT.prompt);
    equal([answer.content[0].text, answer.stop_reason], [TEXT.answer, "end_turn"]);
    check(answer.usage.output_tokens > 2, answer.usage);
  },
  async stream() {
    needs("/v1/messages");
    const stream = client.messages.stream(request(TEXT.prompt));
    const message = await stream.finalMessage();
    equal([message.content[0].text, message.stop_reason], [TEXT.answer, "end_turn"]);
    check(message.usage.output_tokens > 2, message.usage);
  },
  async tools() {
    const first = await ask(CALL.prompt);
    const call = first.content.find((block) => block.type === "tool_use");
    equal([first.stop_reason, call.name, call.input.amount], ["tool_use", CALL.name, CALL.amount]);
    const second = await ask(null, {
      max_tokens: 20,
      tools: [{ name: CALL.name, input_schema: { type: "object", properties: { amount: { type: "integer" } } } }],
      messages: [{ role: "user", content: CALL.prompt }, { role: "assistant", content: first.content },
                 { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "the timer runs" }] }],
    });
    equal(second.role, "assistant");
    const streamed = await client.messages.stream(request(CALL.prompt)).finalMessage();
    equal(streamed.content.find((block) => block.type === "tool_use").input, call.input);
  },
  async picture() {
    const source = { type: "base64", media_type: "image/png", data: PICTURE.base64 };
    const answer = await ask([{ type: "image", source }, { type: "text", text: PICTURE.prompt }]);
    check(answer.usage.input_tokens + (answer.usage.cache_read_input_tokens ?? 0) > 60, answer.usage);
  },
  async errors() {
    needs("/v1/messages");
    await rejects(() => ask("hello", { temperature: 1000 }), Anthropic.BadRequestError, "temperature");
    await rejects(() => ask(TOO_LONG), Anthropic.BadRequestError, "context", "4096");
    const other = client.withOptions({ apiKey: "wrong" });
    await rejects(() => other.messages.create(request("hello")), Anthropic.AuthenticationError, "key");
  },
  async cancel() {
    needs("/v1/messages");
    await checkCancel(async () => {
      const stream = await client.messages.create(
        request(LONG.prompt, { temperature: LONG.temperature, max_tokens: 2000, stream: true }));
      let pieces = 0;
      for await (const _ of stream) {
        if (++pieces === 6) break;
      }
    });
  },
});
