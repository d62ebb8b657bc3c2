// What the server costs beside its engine: a stub writes a token for each of many streams every 50 ms while
// other connections idle. The clients are a process of their own.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "server/network.h"
#include "server/openai_writer.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStreams = 200, kTokens = 200, kIdle = 500;
constexpr auto kStep = std::chrono::milliseconds(50);
constexpr std::string_view kLast = "data: [DONE]";

class StubWriter : public OpenAiWriter {
 public:
  StubWriter() : OpenAiWriter({"chatcmpl-", "chat.completion", "chat.completion.chunk", "stub"}) {}
  std::string Event(size_t, const TurnEvent& event) override {
    return Chunk({{"index", 0}, {"delta", {{"content", event.text}}}, {"finish_reason", nullptr}});
  }
  std::string End(size_t choice, const Generation& answer) override {
    Count(choice, answer);
    return Chunk({{"index", 0}, {"delta", Json::object()}, {"finish_reason", "length"}});
  }
  Json ChoiceOf(size_t, const Generation&) override { return {}; }
};

// The engine's place: a step for all streams at once, told to the network stream by stream.
class StubEngine {
 public:
  explicit StubEngine(Network& network) : network_(network) {}

  // On the network's thread.
  void Add(const ExchangePtr& exchange) {
    exchange->Stream(kEventStream, [] { return std::string(": still working\n\n"); });
    streams_.push_back({exchange, std::make_shared<StubWriter>()});
    if (streams_.size() == kStreams) thread_ = std::thread([this] { Run(); });
  }
  void Join() { thread_.join(); }

 private:
  struct Stream {
    ExchangePtr exchange;
    std::shared_ptr<StubWriter> writer;
  };

  void Run() {
    auto next = Clock::now();
    for (int token = 0; token < kTokens; ++token) {
      std::this_thread::sleep_until(next += kStep);
      for (const Stream& stream : streams_) {
        network_.Post([stream, token] {
          stream.exchange->Write(stream.writer->Event(
              0, {.kind = TurnEvent::Kind::kText, .text = fmt::format(" word{}", token)}));
        });
      }
    }
    for (const Stream& stream : streams_) {
      network_.Post([stream] {
        stream.exchange->Write(stream.writer->End(0, {}) + stream.writer->Finish());
        stream.exchange->End();
      });
    }
    network_.Post([this] { StopWhenRead(); });
  }

  void StopWhenRead() {
    if (network_.connections() == 0) return network_.StopNow();
    network_.After(kStep, [this] { StopWhenRead(); });
  }

  Network& network_;
  std::vector<Stream> streams_;
  std::thread thread_;
};

int Connect(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::exit(2);
  return socket;
}

// All streams to their ends. Returns the gaps between pieces, in milliseconds; exits where one was cut.
std::vector<double> ReadStreams(std::vector<pollfd>& sockets) {
  std::vector<Clock::time_point> last(sockets.size());
  std::vector<std::string> tails(sockets.size());
  std::vector<double> gaps;
  size_t ended = 0;
  while (ended < sockets.size()) {
    poll(sockets.data(), sockets.size(), -1);
    const auto now = Clock::now();
    for (size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].fd < 0 || sockets[i].revents == 0) continue;
      char piece[16384];
      const ssize_t size = recv(sockets[i].fd, piece, sizeof piece, 0);
      if (size <= 0) std::exit(3);
      if (last[i] != Clock::time_point()) {
        gaps.push_back(std::chrono::duration<double, std::milli>(now - last[i]).count());
      }
      last[i] = now;
      tails[i].append(piece, static_cast<size_t>(size));
      if (tails[i].find(kLast) != std::string::npos) sockets[i].fd = -1, ++ended;
      if (tails[i].size() > 4096) tails[i].erase(0, tails[i].size() - kLast.size());
    }
  }
  return gaps;
}

int RunClients(uint16_t port) {
  std::vector<int> idle;
  for (int i = 0; i < kIdle; ++i) idle.push_back(Connect(port));
  std::vector<pollfd> sockets;
  const std::string request = "POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
  for (int i = 0; i < kStreams; ++i) {
    sockets.push_back({.fd = Connect(port), .events = POLLIN, .revents = 0});
    if (send(sockets.back().fd, request.data(), request.size(), 0) != static_cast<ssize_t>(request.size())) {
      return 2;
    }
  }
  std::vector<double> gaps = ReadStreams(sockets);
  std::ranges::sort(gaps);
  fmt::print("gaps of the streams: median {:.1f} ms, 99 % {:.1f} ms, longest {:.1f} ms\n",
             gaps[gaps.size() / 2], gaps[gaps.size() * 99 / 100], gaps.back());
  std::fflush(stdout);
  return 0;
}

double ProcessorSeconds() {
  rusage use = {};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

// In MB: "VmRSS:", "VmHWM:" (its peak).
double Resident(const std::string& which) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(which)) return std::stod(line.substr(which.size())) / 1000;
  }
  return 0;
}

int Run() {
  StubEngine* engine = nullptr;
  Network network({},
                  {.admit = [](HttpRequest&, uint64_t&) { return std::optional<HttpAnswer>(); },
                   .handle = [&](const ExchangePtr& exchange) { engine->Add(exchange); },
                   .refuse = [](const HttpRequest&, int status,
                                std::string message) { return HttpAnswer{status, "text/plain", message}; },
                   .done = [](const HttpExchange&, int, std::chrono::nanoseconds) {}});
  StubEngine stub(network);
  engine = &stub;
  if (const Status listening = network.ListenTcp("127.0.0.1", 0); !listening) {
    fmt::print(stderr, "{}\n", listening.error().Message());
    return 1;
  }
  const pid_t clients = fork();
  if (clients == 0) std::_Exit(RunClients(network.port()));
  const auto begin = Clock::now();
  const double before = ProcessorSeconds(), resident = Resident("VmRSS:");
  network.Run();
  stub.Join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double used = ProcessorSeconds() - before;
  int status = 0;
  waitpid(clients, &status, 0);
  fmt::print(
      "{} streams of {} tokens, one each {} ms, beside {} idle connections: {:.2f} s of a processor in "
      "{:.1f} s ({:.1f} % of a core); resident {:.1f} MB, of which {:.1f} MB for the connections\n",
      kStreams, kTokens, kStep.count(), kIdle, used, seconds, 100 * used / seconds, Resident("VmHWM:"),
      Resident("VmHWM:") - resident);
  return status == 0 ? 0 : 1;
}

}  // namespace
}  // namespace linnet

int main() { return linnet::Run(); }
