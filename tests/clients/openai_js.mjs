// The npm package `openai`.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { CALL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, URL, check, checkCancel, equal, needs, rejects,
         run } from "./scenario.mjs";

const client = new OpenAI({ baseURL: URL + "/v1", apiKey: KEY, maxRetries: 0 });
const TOOL = { type: "function", function: { name: CALL.name } };
const FULL_TOOL = {
  type: "function",
  function: {
    name: CALL.name,
    parameters: { type: "object", properties: { amount: { type: "integer" } }, required: ["amount"] },
  },
};

const request = (content, more = {}) =>
  ({ model: MODEL, messages: [{ role: "user", content }], temperature: 0, ...more });
const ask = (content, more) => client.chat.completions.create(request(content, more));

async function secondTurn(message, tool) {
  const after = await client.chat.completions.create({
    model: MODEL, temperature: 0, max_completion_tokens: 20, tools: [tool],
    messages: [{ role: "user", content: CALL.prompt }, message,
               { role: "tool", tool_call_id: message.tool_calls[0].id, content: "the timer runs" }],
  });
  check(typeof after.choices[0].message.content === "string", after);
  return after;
}

await run({
  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    equal(ids.length, 1);
    equal((await client.models.retrieve(ids[0])).id, ids[0]);
  },
  async text() {
    const answer = await ask(TEXT.prompt);
    equal(answer.choices[0].message.content, TEXT.answer);
    equal(answer.choices[0].finish_reason, "stop");
    check(answer.usage.completion_tokens > 2, answer.usage);
  },
  async stream() {
    const stream = await ask(TEXT.prompt, { stream: true, stream_options: { include_usage: true } });
    let text = "", finish = "", usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      finish += chunk.choices[0]?.finish_reason ?? "";
      usage = chunk.usage ?? usage;
    }
    equal([text, finish], [TEXT.answer, "stop"]);
    check(usage.completion_tokens > 2, usage);
    const runner = client.chat.completions.stream(request(TEXT.prompt));
    equal(await runner.finalContent(), TEXT.answer);
  },
  async completions() {
    const answer = await client.completions.create({ model: MODEL, prompt: "call tom tom", temperature: 0, max_tokens: 4 });
    equal(answer.choices[0].text, " tom tom tom tom");
  },
  async tools() {
    const answer = await ask(CALL.prompt, { tools: [TOOL] });
    const { message, finish_reason: finish } = answer.choices[0];
    equal(finish, "tool_calls");
    equal(message.tool_calls[0].function.name, CALL.name);
    equal(JSON.parse(message.tool_calls[0].function.arguments).amount, CALL.amount);
    const after = await secondTurn(message, TOOL);
    check(after.usage.prompt_tokens > answer.usage.prompt_tokens + 10, "the result is not part of the prompt");
  },
  async tools_stream() {
    const runner = client.chat.completions.stream(request(CALL.prompt, { tools: [TOOL] }));
    const call = (await runner.finalMessage()).tool_calls[0].function;
    equal([call.name, JSON.parse(call.arguments).amount], [CALL.name, CALL.amount]);
  },
  async tools_forced() {
    needs("tool_choice");
    for (const choice of ["required", { type: "function", function: { name: CALL.name } }]) {
      const { message } = (await ask(CALL.prompt, { tools: [FULL_TOOL], tool_choice: choice })).choices[0];
      check(Number.isInteger(JSON.parse(message.tool_calls[0].function.arguments).amount), message);
      await secondTurn(message, FULL_TOOL);
    }
  },
  async schema() {
    needs("response_format");
    const shape = z.object({ colour: z.enum(["red", "green", "blue"]), many: z.boolean() });
    const answer = await client.chat.completions.parse(
      request("what is in the picture", { response_format: zodResponseFormat(shape, "shape") }));
    check(shape.safeParse(answer.choices[0].message.parsed).success, answer);
  },
  async picture() {
    const content = [{ type: "image_url", image_url: { url: PICTURE.url, detail: "low" } },
                     { type: "text", text: PICTURE.prompt }];
    equal((await ask(content)).choices[0].message.content, PICTURE.answer);
  },
  async sound() {
    const content = [{ type: "text", text: SOUND.prompt },
                     { type: "input_audio", input_audio: { data: SOUND.base64, format: "wav" } }];
    equal((await ask(content)).choices[0].message.content, SOUND.answer);
  },
  async embeddings() {
    needs("/v1/embeddings");
    const answer = await client.embeddings.create({ model: MODEL, input: ["hello", "turn off the light"] });
    equal(answer.data.map((one) => one.index), [0, 1]);
    check(answer.data[0].embedding.length > 16 && Number.isFinite(answer.data[0].embedding[0]), "no numbers");
  },
  async responses() {
    needs("/v1/responses");
    const answer = await client.responses.create({ model: MODEL, input: TEXT.prompt, temperature: 0, store: false });
    equal(answer.output_text, TEXT.answer);
    const kinds = [];
    const stream = await client.responses.create({ model: MODEL, input: TEXT.prompt, temperature: 0, stream: true });
    for await (const event of stream) kinds.push(event.type);
    equal([kinds[0], kinds.at(-1)], ["response.created", "response.completed"]);
  },
  async errors() {
    await rejects(() => ask("hello", { temperature: 1000 }), OpenAI.BadRequestError, "temperature");
    await rejects(() => ask(TOO_LONG), OpenAI.BadRequestError, "context", "4096");
    await rejects(() => client.withOptions({ apiKey: "wrong" }).models.list(), OpenAI.AuthenticationError, "key");
    await rejects(() => client.models.retrieve("another"), OpenAI.NotFoundError);
  },
  async cancel() {
    await checkCancel(async () => {
      const stream = await ask(LONG.prompt, { temperature: LONG.temperature, seed: LONG.seed, stream: true });
      let pieces = 0;
      for await (const _ of stream) {
        if (++pieces === 3) break;
      }
    });
  },
});
