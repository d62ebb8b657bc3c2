// The npm package `ai` with `@ai-sdk/openai-compatible`.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from "ai";
import { z } from "zod";

import { CALL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, URL, check, checkCancel, equal, needs, rejects,
         run } from "./scenario.mjs";

const provider = (apiKey) =>
  createOpenAICompatible({ name: "linnet", baseURL: URL + "/v1", apiKey, includeUsage: true, supportsStructuredOutputs: true });
const model = provider(KEY)(MODEL);
const ask = (prompt, more = {}) => generateText({ model, prompt, temperature: 0, maxRetries: 0, ...more });
const askParts = (content) => generateText({ model, messages: [{ role: "user", content }], temperature: 0, maxRetries: 0 });

// Chick writes a call by itself where none is declared; it must where the client says so.
const timer = tool({
  description: "Sets a timer.",
  inputSchema: jsonSchema({
    type: "object", properties: { amount: { type: "integer" } }, required: ["amount"], additionalProperties: false,
  }),
});

await run({
  async text() {
    const answer = await ask(TEXT.prompt);
    equal([answer.text, answer.finishReason], [TEXT.answer, "stop"]);
    check(answer.usage.outputTokens > 2, answer.usage);
  },
  async stream() {
    const answer = streamText({ model, prompt: TEXT.prompt, temperature: 0, maxRetries: 0 });
    let text = "", pieces = 0;
    for await (const piece of answer.textStream) {
      text += piece;
      ++pieces;
    }
    equal([text, await answer.finishReason], [TEXT.answer, "stop"]);
    check(pieces > 1, "all in one piece");
    check((await answer.usage).outputTokens > 2, "no usage");
  },
  async tools_second_turn() {
    const id = "call_1";
    const answer = await generateText({
      model, temperature: 0, maxRetries: 0, maxOutputTokens: 20, tools: { timer },
      messages: [
        { role: "user", content: CALL.prompt },
        { role: "assistant", content: [{ type: "tool-call", toolCallId: id, toolName: CALL.name, input: { amount: 8 } }] },
        { role: "tool", content: [{ type: "tool-result", toolCallId: id, toolName: CALL.name,
                                    output: { type: "text", value: "the timer runs" } }] },
      ],
    });
    check(answer.text.length > 0, answer.response.body);
  },
  async tools_forced() {
    needs("tool_choice");
    for (const toolChoice of ["required", { type: "tool", toolName: CALL.name }]) {
      const answer = await ask(CALL.prompt, { tools: { timer }, toolChoice });
      equal(answer.finishReason, "tool-calls");
      check(Number.isInteger(answer.toolCalls[0].input.amount), answer.toolCalls);
      const streamed = streamText({ model, prompt: CALL.prompt, temperature: 0, maxRetries: 0, tools: { timer }, toolChoice });
      check(Number.isInteger((await streamed.toolCalls)[0].input.amount), "no call in the stream");
    }
  },
  async schema() {
    needs("response_format");
    const schema = z.object({ colour: z.enum(["red", "green", "blue"]), many: z.boolean() });
    const { output } = await ask("what is in the picture", { output: Output.object({ schema }) });
    check(schema.safeParse(output).success, output);
  },
  async picture() {
    const answer = await askParts([{ type: "file", data: PICTURE.base64, mediaType: "image/png" },
                                   { type: "text", text: PICTURE.prompt }]);
    check(answer.usage.inputTokens > 60, answer.usage);
  },
  async sound() {
    const answer = await askParts([{ type: "text", text: SOUND.prompt },
                                   { type: "file", data: SOUND.base64, mediaType: "audio/wav" }]);
    equal(answer.text, SOUND.answer);
  },
  async errors() {
    await rejects(() => ask("hello", { temperature: 1000 }), APICallError.isInstance, "temperature");
    await rejects(() => ask(TOO_LONG), APICallError.isInstance, "context", "4096");
    const error = await rejects(
      () => generateText({ model: provider("wrong")(MODEL), prompt: "hello", maxRetries: 0 }), APICallError.isInstance, "key");
    equal(error.statusCode, 401);
  },
  async cancel() {
    await checkCancel(async () => {
      const stop = new AbortController();
      const answer = streamText({ model, prompt: LONG.prompt, temperature: LONG.temperature, seed: LONG.seed,
                                  maxRetries: 0, abortSignal: stop.signal, onError: () => {} });
      let pieces = 0;
      for await (const _ of answer.fullStream) {
        if (++pieces === 6) stop.abort();
      }
    });
  },
});
