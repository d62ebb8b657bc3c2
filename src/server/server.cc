#include "server/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <barrier>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <utility>

#include "base/printable.h"
#include "linnet/version.h"
#include "runtime/engine_impl.h"
#include "server/access.h"
#include "server/answer_route.h"
#include "server/answer_service.h"
#include "server/anthropic_messages.h"
#include "server/embeddings.h"
#include "server/metrics.h"
#include "server/ollama.h"
#include "server/openai_audio.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/realtime.h"
#include "server/response_store.h"
#include "server/responses.h"

namespace linnet {
namespace {

// Bodies are read and media decoded on so many threads beside network and engine.
constexpr size_t kWorkers = 2;
constexpr std::chrono::milliseconds kGraceStep{20};

// Of the workers' threads and of the helpers that they start: whoever reads a stream does not wait because
// another's request is large.
void LowerPriority(boost::asio::thread_pool& workers) {
  constexpr int kNiceness = 10;
  const auto all = std::make_shared<std::barrier<>>(kWorkers);  // one task a thread
  for (size_t i = 0; i < kWorkers; ++i) {
    boost::asio::post(workers, [all] {
      setpriority(PRIO_PROCESS, 0, kNiceness);  // on Linux of this thread alone
      all->arrive_and_wait();
    });
  }
}

struct Route {
  const char* method;
  bool open = false;                      // without a key
  const char* type = "application/json";  // of the body of a POST
  std::function<void(const ExchangePtr&)> handle;
};

class Server {
 public:
  Server(Engine& engine, const MediaLoader& loader, const ServerOptions& options)
      : options_(options),
        engine_(engine),
        loader_(loader),
        grammars_(engine),
        names_{options.allowed_hosts, options.allowed_origins},
        workers_(kWorkers),
        network_(
            options.limits,
            {.admit = [this](HttpRequest& request, uint64_t& most) { return Admit(request, most); },
             .handle = [this](const ExchangePtr& exchange) { Handle(exchange); },
             .refuse = [](const HttpRequest& request, int status,
                          const std::string& message) { return ErrorAnswer(request.path, status, message); },
             .done = [this](const HttpExchange& exchange, int status,
                            std::chrono::nanoseconds time) { Done(exchange, status, time); }}) {
    LowerPriority(workers_);
  }

  ~Server() {
    service_.reset();  // tells those that are left; nobody hears it
    workers_.join();
  }

  Status Run() {
    LINNET_TRY(ReadKeys());
    LINNET_ASSIGN(responses_, ResponseStore::Open(options_.store));
    LINNET_TRY(ReadCertificates());
    LINNET_TRY(Listen());
    LINNET_ASSIGN(service_, AnswerService::Create(
                                engine_,
                                {.session = options_.session,
                                 .parallel = options_.parallel,
                                 .tokens = options_.cache_tokens,
                                 .waiting = options_.queue},
                                [this](std::function<void()> task) { network_.Post(std::move(task)); }));
    media_.emplace(loader_, engine_.impl().config, service_->context(),
                   MediaPolicy{.root = options_.media_root, .fetch = {}});
    model_.emplace(ServedModel{engine_, options_.model_name, service_->context(), UnixTime(), *media_,
                               grammars_, options_.draft});
    AddRoutes();
    network_.OnSignals({SIGINT, SIGTERM, SIGHUP}, [this](int signal) { OnSignal(signal); });
    if (options_.on_ready) options_.on_ready(Address(), service_->context());
    network_.Run();
    return {};
  }

 private:
  bool OnLoopback() const { return !options_.unix_socket.empty() || IsLoopback(options_.host); }

  std::string Address() const {
    if (!options_.unix_socket.empty()) return "unix:" + options_.unix_socket;
    const bool six = options_.host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", options_.tls_certificates.empty() ? "http" : "https", six ? "[" : "",
                       options_.host, six ? "]" : "", network_.port());
  }

  Status ReadKeys() {
    LINNET_ASSIGN(keys_, ApiKeys::Read(options_.api_key_file, options_.api_key));
    if (keys_.any() || OnLoopback()) return {};
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("at {} others can reach this server, and there is no key", options_.host),
                "set LINNET_API_KEY or give --api-key-file, or serve at 127.0.0.1");
  }

  Status ReadCertificates() {
    if (options_.tls_certificates.empty()) return {};
    return network_.UseTls(options_.tls_certificates, options_.tls_key);
  }

  Status Listen() {
    if (!options_.unix_socket.empty()) return network_.ListenUnix(options_.unix_socket);
    return network_.ListenTcp(options_.host, options_.port);
  }

  void OnSignal(int signal) {
    if (signal == SIGHUP) {
      auto keys = ApiKeys::Read(options_.api_key_file, options_.api_key);
      if (keys) keys_ = std::move(*keys);
      Log(keys ? "the keys were read again" : "the keys stay as they were: " + keys.error().Message());
      if (const Status read = ReadCertificates(); !read) {
        Log("the certificate stays as it was: " + read.error().Message());
      }
      return;
    }
    if (std::exchange(stopping_, true)) return network_.StopNow();  // asked for twice
    Log(fmt::format("stopping; answers have {} s to end", options_.grace.count()));
    network_.StopListening();
    WaitForAnswers(std::chrono::steady_clock::now() + options_.grace);
  }

  void WaitForAnswers(std::chrono::steady_clock::time_point until) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until && !std::exchange(cancelled_, true)) service_->CancelAll();
    if (network_.connections() == 0 || (now >= until + options_.limits.write && service_->idle())) {
      return network_.StopNow();
    }
    network_.After(kGraceStep, [this, until] { WaitForAnswers(until); });
  }

  std::optional<HttpAnswer> Admit(HttpRequest& request, uint64_t& most) {
    const auto refuse = [&](int status, const std::string& message) {
      return ErrorAnswer(request.path, status, message);
    };
    const std::string_view host = request.Header("host"), origin = request.Header("origin");
    if (options_.unix_socket.empty() && !names_.HostIsAllowed(host)) {
      return refuse(403, "this server is not called '" + Printable(host) + "'; start it with --allow-host");
    }
    if (!origin.empty() && !names_.OriginIsAllowed(origin, host)) {
      return refuse(
          403, "pages of '" + Printable(origin) + "' may not call; start the server with --allow-origin");
    }
    const auto found = routes_.find(RouteOf(request.path));
    if (found == routes_.end()) {
      return refuse(404,
                    fmt::format("there is no {} {}", Printable(request.method), Printable(request.path)));
    }
    if (request.method == "OPTIONS" && !origin.empty()) {
      most = 0;
      return std::nullopt;
    }
    const Route* const route = Find(found->second, request.method);
    if (route == nullptr) {
      HttpAnswer answer = refuse(405, fmt::format("{} takes {}", request.path, Methods(found->second)));
      answer.headers.emplace_back("Allow", Methods(found->second));
      return answer;
    }
    request.owner = keys_.Owner(linnet::KeyOf(request));
    if (request.owner.empty() && !route->open) {
      return refuse(401, "this server wants a key; send it as 'Authorization: Bearer KEY'");
    }
    const std::string_view type = request.Header("content-type");
    // Some clients name none. Pages can as well, but they say where they come from.
    const bool may_be = type.empty() ? origin.empty() : BeginsWithWord(type, route->type);
    if (request.method == "POST" && !may_be) {
      return refuse(
          415, fmt::format("the body's type is '{}'; send Content-Type: {}", Printable(type), route->type));
    }
    return std::nullopt;
  }

  // The name of the route that a path belongs to: itself, or one that has * for the third of its parts, which
  // names something that is stored.
  std::string RouteOf(const std::string& path) const {
    if (routes_.contains(path)) return path;
    size_t begin = 0;
    for (int part = 0; part < 3 && begin != std::string::npos; ++part)
      begin = path.find('/', begin + (part > 0));
    if (begin == std::string::npos || begin + 1 == path.size()) return path;
    const size_t end = std::min(path.find('/', begin + 1), path.size());
    return path.substr(0, begin + 1) + "*" + path.substr(end);
  }

  static const Route* Find(const std::vector<Route>& routes, const std::string& method) {
    for (const Route& route : routes) {
      if (route.method == method || (method == "HEAD" && std::string_view(route.method) == "GET"))
        return &route;
    }
    return nullptr;
  }

  static std::string Methods(const std::vector<Route>& routes) {
    std::string methods;
    for (const Route& route : routes) methods += (methods.empty() ? "" : ", ") + std::string(route.method);
    return methods;
  }

  void Handle(const ExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    const std::vector<Route>& routes = routes_.at(RouteOf(request.path));
    if (const std::string_view origin = request.Header("origin"); !origin.empty()) {  // that may
      exchange->AddHeader("Access-Control-Allow-Origin", std::string(origin));
      exchange->AddHeader("Vary", "Origin");
    }
    if (request.method == "OPTIONS") {
      exchange->Answer(
          {.status = 204,
           .body = {},
           .headers = {{"Access-Control-Allow-Methods", Methods(routes)},
                       {"Access-Control-Allow-Headers",
                        "authorization, content-type, x-api-key, anthropic-version, anthropic-beta"}}});
      return;
    }
    Find(routes, request.method)->handle(exchange);
  }

  void Done(const HttpExchange& exchange, int status, std::chrono::nanoseconds time) {
    const double seconds = std::chrono::duration<double>(time).count();
    const std::string route = RouteOf(exchange.request().path);
    metrics_.Count(routes_.contains(route) ? route : "other", status, seconds);
    if (!options_.log_requests) return;
    std::string line = fmt::format("{} {} {} {:.3f} s", Printable(exchange.request().method),
                                   Printable(exchange.request().path), status, seconds);
    for (const auto& [name, value] : exchange.notes()) line += fmt::format(" {}={}", name, Printable(value));
    Log(line);
  }

  void Log(const std::string& line) const {
    if (options_.log) options_.log(line);
  }

  void Add(const char* method, const std::string& path, std::function<void(const ExchangePtr&)> handle,
           bool open = false) {
    routes_[path].push_back({.method = method, .open = open, .handle = std::move(handle)});
  }

  void AddTranslated(const TranslatedRoute& route) {
    Add(route.method, route.path, [this, translate = route.translate](const ExchangePtr& exchange) {
      AnswerExchange({network_, *service_, workers_, *model_}, exchange, translate);
    });
  }

  void AddEmbedding(const std::string& path, EmbedShape shape) {
    Add("POST", path, [this, shape](const ExchangePtr& exchange) {
      EmbedExchange({network_, *service_, workers_, *model_}, exchange, shape);
    });
  }

  void AddRoutes() {
    Add("GET", "/health", [](const ExchangePtr& e) { e->Answer({.body = R"({"status":"ok"})"}); }, true);
    Add("GET", "/version", [](const ExchangePtr& e) { e->Answer({.body = Dump({{"version", Version()}})}); });
    Add("GET", "/metrics", [this](const ExchangePtr& e) {
      e->Answer({.type = "text/plain; version=0.0.4",
                 .body = metrics_.Text(service_->counts(), network_.connections())});
    });
    Add("GET", "/v1/models", [this](const ExchangePtr& e) {
      e->Answer({.body = Dump({{"object", "list"},
                               {"data", Json::array({ModelJson()})},
                               {"has_more", false},
                               {"first_id", model_->name},
                               {"last_id", model_->name}})});
    });
    Add("GET", "/v1/models/" + model_->name,
        [this](const ExchangePtr& e) { e->Answer({.body = Dump(ModelJson())}); });
    for (const bool translate : {false, true}) {
      routes_[translate ? "/v1/audio/translations" : "/v1/audio/transcriptions"].push_back(
          {.method = "POST",
           .type = "multipart/form-data",
           .handle = [this, translate](const ExchangePtr& e) {
             HearExchange({network_, *service_, workers_, *model_}, loader_, e, translate);
           }});
    }
    Add("GET", "/v1/realtime", [this](const ExchangePtr& e) {
      RealtimeExchange({network_, *service_, workers_, *model_}, loader_, e);
    });
    AddTranslated({"POST", "/v1/chat/completions", TranslateOpenAiChat});
    AddTranslated({"POST", "/v1/completions", TranslateOpenAiCompletion});
    AddTranslated({"POST", "/v1/messages", TranslateAnthropicMessages});
    AddTranslated({"POST", "/v1/messages/count_tokens", CountAnthropicTokens});
    AddEmbedding("/v1/embeddings", EmbedShape::kOpenAi);
    AddEmbedding("/api/embed", EmbedShape::kOllama);
    AddEmbedding("/api/embeddings", EmbedShape::kOllamaOne);
    for (const TranslatedRoute& route : OllamaRoutes()) AddTranslated(route);
    for (const TranslatedRoute& route : ResponsesRoutes(*responses_)) AddTranslated(route);
  }

  Json ModelJson() const {
    const ModelFacts facts = engine_.facts();
    Json inputs = Json::array({"text"});
    if (facts.sees) inputs.push_back("image");
    if (facts.hears) inputs.push_back("audio");
    if (facts.watches) inputs.push_back("video");
    return {{"id", model_->name},
            {"object", "model"},
            {"type", "model"},  // as Anthropic's clients know it
            {"display_name", model_->name},
            {"created_at", TimeText(model_->created)},
            {"created", model_->created},
            {"owned_by", "linnet"},
            {"context_length", model_->context},
            {"max_model_len", model_->context},
            {"input_modalities", inputs}};
  }

  const ServerOptions& options_;
  Engine& engine_;
  const MediaLoader& loader_;
  Grammars grammars_;
  AllowedNames names_;
  ApiKeys keys_;
  ServerMetrics metrics_;
  std::map<std::string, std::vector<Route>> routes_;
  std::unique_ptr<ResponseStore> responses_;
  boost::asio::thread_pool workers_;
  Network network_;
  std::unique_ptr<AnswerService> service_;
  std::optional<MediaReader> media_;
  std::optional<ServedModel> model_;
  bool stopping_ = false, cancelled_ = false;
};

}  // namespace

Status Serve(Engine& engine, const MediaLoader& loader, const ServerOptions& options) {
  return Server(engine, loader, options).Run();
}

}  // namespace linnet
