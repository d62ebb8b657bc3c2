// linnet session: what a file of a conversation holds.
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "cli/report.h"
#include "linnet/session_file.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

struct SessionArgs {
  std::string file;
  std::string format;
  bool check = false;
  bool json = false;
};

template <typename T>
std::string Chosen(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "the model's";
}

std::string FactsText(const SessionFacts& facts) {
  const SamplingOptions& sampling = facts.sampling;
  std::string text = fmt::format(
      "model       {}, fingerprint {}\n"
      "messages    {}, thinking {}\n"
      "tokens      {} of a context of {}, keys and values in {}, mask rule {}\n"
      "sampling    temperature {}, top-k {}, top-p {}, min-p {}, repetition penalty {}, seed {}\n"
      "size        {}\n",
      facts.model.empty() ? "without a name" : Printable(facts.model),
      Printable(facts.fingerprint.substr(0, 16)), facts.messages, facts.setup.thinking ? "on" : "off",
      facts.tokens, facts.options.context, NameOf(facts.options.kv),
      facts.options.mask_rule == MaskRule::kB ? "b" : "a", Chosen(sampling.temperature),
      Chosen(sampling.top_k), Chosen(sampling.top_p), sampling.min_p, sampling.repetition_penalty,
      sampling.seed, HumanBytes(facts.bytes));
  if (!facts.setup.system.empty()) text += "system      " + Printable(facts.setup.system) + "\n";
  for (const SessionMedium& medium : facts.media) {
    text += fmt::format("{:<11} message {}, {}, SHA-256 {}\n", Printable(medium.kind), medium.message + 1,
                        HumanBytes(medium.bytes), Printable(medium.sha256));
  }
  return text;
}

std::string FactsJson(const SessionFacts& facts) {
  Json media = Json::array();
  for (const SessionMedium& medium : facts.media) {
    media.push_back({{"kind", medium.kind},
                     {"message", medium.message},
                     {"bytes", medium.bytes},
                     {"sha256", medium.sha256}});
  }
  const Json json = {{"model", facts.model},
                     {"fingerprint", facts.fingerprint},
                     {"messages", facts.messages},
                     {"tokens", facts.tokens},
                     {"context", facts.options.context},
                     {"kv", NameOf(facts.options.kv)},
                     {"thinking", facts.setup.thinking},
                     {"system", facts.setup.system},
                     {"media", media},
                     {"bytes", facts.bytes}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<int> ShowSession(const SessionArgs& args) {
  if (args.json && !args.format.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "--json tells what the file holds, --export the conversation",
                "leave one of them out");
  }
  LINNET_ASSIGN(const SessionFile file, SessionFile::Read(args.file));
  if (args.check) LINNET_TRY(file.Check());
  if (args.format.empty()) {
    Write(args.json ? FactsJson(file.facts()) : FactsText(file.facts()));
  } else {
    LINNET_ASSIGN(const std::string text,
                  file.Export(args.format == "json" ? SessionFormat::kJson : SessionFormat::kMarkdown));
    Write(text);
  }
  return kExitDone;
}

}  // namespace

Command SessionCommand() {
  return {"session", "tell what a file of 'run --session' holds, or export the conversation", [](Args& args) {
            auto values = std::make_shared<SessionArgs>();
            args.Positional("FILE", values->file, "a file that 'linnet run --session FILE' keeps");
            args.Choice("--export", values->format, {"json", "md"},
                        "write the conversation to standard output instead");
            args.Flag("--check", values->check, "read every byte first; otherwise keys and values are not");
            args.Flag("--json", values->json, "one JSON object");
            args.Footer(
                "Examples:\n  linnet session trip.linnet\n  linnet session trip.linnet --export md > "
                "trip.md\n");
            return [values] { return ShowSession(*values); };
          }};
}

}  // namespace linnet
