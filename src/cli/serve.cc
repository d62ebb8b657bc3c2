// linnet serve: the model for programs that speak to a server.
#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "linnet/grammar.h"
#include "linnet/media.h"
#include "server/server.h"

namespace linnet {
namespace {

constexpr int64_t kUsualParallel = 4, kMostParallel = 256;
// What a client may ask for with "detail": "high".
constexpr int64_t kLargestPicture = 1120;

struct ServeArgs {
  ModelArgs model;
  ServerOptions server;
  int64_t port = 8080, parallel = kUsualParallel, grace = 30;
  std::string max_body = "64M", log = "text", name;
  bool no_sandbox = false;
  std::set<std::string> given;
};

Status InRange(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}", name, value),
              fmt::format("give {} to {}", least, most));
}

Status Check(const ServeArgs& args) {
  LINNET_TRY(InRange("--port", args.port, 0, 65535));
  LINNET_TRY(InRange("--parallel", args.parallel, 1, kMostParallel));
  LINNET_TRY(InRange("--cache-tokens", args.server.cache_tokens, 0, int64_t{1} << 40));
  LINNET_TRY(InRange("--queue", args.server.queue, 1, 100'000));
  LINNET_TRY(InRange("--grace", args.grace, 0, 86'400));
  if (args.server.tls_certificates.empty() != args.server.tls_key.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "only one of --tls-cert and --tls-key is given", "give both");
  }
  if (!args.server.unix_socket.empty() && (args.given.contains("--port") || args.given.contains("--host"))) {
    return Fail(ErrorCode::kInvalidArgument, "--unix is given together with --host or --port",
                "leave one of them out");
  }
  return {};
}

MemoryUse UseOf(const ServeArgs& args, const SessionOptions& session) {
  MemoryUse use;
  use.session = session;
  use.conversations = args.parallel;
  use.tokens = args.server.cache_tokens;
  use.fewer_conversations = !args.given.contains("--parallel");
  use.image_tokens = kLargestPicture;
  use.knobs.conversations = "--parallel N";
  use.knobs.pictures = "";
  // Bodies of requests while they are read and answered.
  use.others.push_back({.name = "requests", .bytes = args.server.limits.all_bodies});
  if (HasGrammars()) use.others.push_back({.name = "grammars", .bytes = kGrammarCompilerBytes});
  return use;
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  localtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

// How answers call it: as asked, else the file's own name for itself, else the file's name.
std::string NameOf(const ServeArgs& args, const Engine& engine) {
  if (!args.name.empty()) return args.name;
  std::string name = engine.facts().name;
  if (name.empty() && args.model.model.empty()) name = "chick";
  if (name.empty()) name = std::filesystem::path(args.model.model).stem().string();
  for (char& c : name) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '/') c = '-';
  }
  return name;
}

void DeclareServer(Args& args, ServeArgs& values) {
  ServerOptions& server = values.server;
  args.Option("--host", server.host, "address to listen at; beyond this machine only with a key");
  args.Option("--port", values.port, "0 = one that is free, which is said");
  args.Option("--unix", server.unix_socket, "listen at a Unix socket of this path instead");
  args.Option("--parallel", values.parallel, "answers written at once; fewer where they do not fit");
  args.Option(
      "--cache-tokens", server.cache_tokens,
      "tokens that all answers hold together at most; 0 = each its whole context. One that might need "
      "more than is left waits");
  args.Option("--queue", server.queue, "requests that may wait beyond those; further ones get 429");
  args.Option("--api-key-file", server.api_key_file,
              "file with a key a line; LINNET_API_KEY sets one too; read again at SIGHUP");
  args.Option("--tls-cert", server.tls_certificates,
              "certificate in PEM, with those above it: clients connect with https; read again at SIGHUP");
  args.Option("--tls-key", server.tls_key, "its key in PEM");
  args.Option("--allow-host", server.allowed_hosts, "name that clients may call this server by");
  args.Option("--allow-origin", server.allowed_origins, "page that may call it, as https://chat.example");
  args.Option("--media-root", server.media_root, "directory whose files requests may name with file:");
  args.Option("--store", server.store,
              "file that keeps what /v1/responses stores; else it is lost at the end");
  args.Option("--max-body", values.max_body, "largest body of a request");
  args.Option("--name", values.name, "what answers call the model; any name is taken in requests");
  args.Option("--grace", values.grace, "seconds that running answers have to end at SIGTERM or Ctrl-C");
  args.Config("--config", "file of options in TOML, as parallel = 8; those given here go first");
  args.Choice("--log", values.log, {"text", "none"}, "a line for each request, never what it says");
  args.Flag("--no-sandbox", values.no_sandbox, "decode media in this process, without any protection");
  args.Footer(
      "The protocol is OpenAI's: a client needs only the address, as http://127.0.0.1:8080/v1\n"
      "(docs/server.md). What is spoken is written down meanwhile at\n"
      "ws://127.0.0.1:8080/v1/realtime?intent=transcription. Example:\n"
      "  linnet serve gemma-4-12b-it.gguf --parallel 8\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n");
}

Result<int> RunServer(ServeArgs& args) {
  LINNET_TRY(Check(args));
  ServerOptions& server = args.server;
  LINNET_ASSIGN(server.limits.body_bytes, BytesIn("--max-body", args.max_body));
  server.limits.all_bodies = std::max(4 * server.limits.body_bytes, server.limits.all_bodies);
  LINNET_ASSIGN(server.session, ToSessionOptions(args.model));
  LINNET_ASSIGN(server.draft, DraftsOf(args.model));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.model, UseOf(args, server.session)));
  const int64_t fits = engine->facts().conversations;
  server.parallel = fits > 0 ? std::min(args.parallel, fits) : args.parallel;
  server.port = static_cast<uint16_t>(args.port);
  server.grace = std::chrono::seconds(args.grace);
  server.model_name = NameOf(args, *engine);
  if (const char* key = std::getenv("LINNET_API_KEY")) server.api_key = key;
  server.log_requests = args.log == "text";
  server.log = [](const std::string& line) { Say("{} {}\n", Now(), line); };
  const MediaLoader loader({.sandbox = !args.no_sandbox});
  WarnOfWeakness(loader);
  server.on_ready = [&](const std::string& address, int64_t context) {
    Say("linnet: serving {} at {}, {} answers at once, {} tokens each\n", server.model_name, address,
        server.parallel, context);
  };
  LINNET_TRY(Serve(*engine, loader, server));
  return kExitDone;
}

}  // namespace

Command ServeCommand() {
  return {"serve", "answer programs that speak OpenAI's protocol", [](Args& args) {
            auto values = std::make_shared<ServeArgs>();
            DeclareModel(args, values->model);
            DeclareMaskRule(args, values->model);
            DeclareDrafting(args, values->model);
            DeclareCacheRam(args, values->model.cache_ram);
            DeclareOverPlan(args, values->model.over_plan);
            DeclareServer(args, *values);
            args.Given(values->given);
            return [values] { return RunServer(*values); };
          }};
}

}  // namespace linnet
