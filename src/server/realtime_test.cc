// The realtime protocol over its WebSocket, with the built-in model.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <algorithm>
#include <csignal>

#include "media/audio.h"
#include "media/resample.h"
#include "server/realtime_sound.h"
#include "server/server_testing.h"

namespace linnet {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using testing::Base64;
using testing::ChickServer;

using Headers = std::vector<std::pair<std::string, std::string>>;

class TalkClient {
 public:
  explicit TalkClient(uint16_t port, const std::string& query = "?intent=transcription", Headers headers = {})
      : socket_(context_) {
    socket_.next_layer().connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
      for (const auto& [name, value] : headers) request.set(name, value);
    }));
    socket_.handshake(response_, "localhost", "/v1/realtime" + query, error_);
  }

  int status() const { return static_cast<int>(response_.result_int()); }
  std::string Header(const std::string& name) const { return std::string(response_[name]); }
  void Send(const Json& event) { socket_.write(asio::buffer(Dump(event)), error_); }
  // Null where the server has closed.
  Json Read() {
    boost::beast::flat_buffer buffer;
    socket_.read(buffer, error_);
    return error_ ? Json() : Json::parse(boost::beast::buffers_to_string(buffer.data()));
  }
  // Up to one of this type, which is the last.
  std::vector<Json> ReadTo(const std::string& type) {
    std::vector<Json> events;
    do events.push_back(Read());
    while (!events.back().is_null() && events.back()["type"] != type);
    return events;
  }
  int close_code() const { return socket_.reason().code; }
  void HangUp() { socket_.next_layer().close(); }

  void Append(const std::string& pcm) {
    for (size_t at = 0; at < pcm.size(); at += 9600) {
      Send({{"type", "input_audio_buffer.append"}, {"audio", Base64(pcm.substr(at, 9600))}});
    }
  }
  void Commit() { Send({{"type", "input_audio_buffer.commit"}}); }
  void Detect(const Json& detection) {
    Send({{"type", "session.update"},
          {"session", {{"type", "transcription"}, {"audio", {{"input", {{"turn_detection", detection}}}}}}}});
    EXPECT_EQ(ReadTo("session.updated").back()["type"], "session.updated");
  }

 private:
  asio::io_context context_;
  websocket::stream<asio::ip::tcp::socket> socket_;
  websocket::response_type response_;
  boost::system::error_code error_;
};

// A spoken command as a client would send it.
const std::string& Command() {
  static const std::string pcm = [] {
    const AudioClip clip = LoadAudio(LINNET_SOURCE_DIR "/examples/command.wav").value();
    Resampler resampler = Resampler::Create(kSampleRate, kRealtimeRate).value();
    std::vector<float> samples;
    EXPECT_TRUE(resampler.Push(clip.samples, samples));
    EXPECT_TRUE(resampler.Finish(samples));
    std::string bytes;
    for (const float sample : samples) {
      const auto value = static_cast<int16_t>(std::clamp(sample, -1.0F, 0.9999F) * 32768);
      bytes += static_cast<char>(value & 0xFF);
      bytes += static_cast<char>(value >> 8 & 0xFF);
    }
    return bytes;
  }();
  return pcm;
}
std::string Silence(size_t ms) { return std::string(ms * kRealtimeBytesOfMs, '\0'); }

// What /v1/audio/transcriptions makes of the same samples.
std::string Transcribed(const ChickServer& server, const std::string& pcm) {
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n" +
      WavOfRealtime(pcm) + "\r\n--b--\r\n";
  return server
      .Send(
          "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
          "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body)
      .json()["text"];
}

constexpr const char* kCompleted = "conversation.item.input_audio_transcription.completed";

TEST(Realtime, WritesDownWhatIsCommitted) {
  const ChickServer server;
  TalkClient client(server.port());
  ASSERT_EQ(client.status(), 101);
  EXPECT_EQ(client.Read()["type"], "session.created");
  client.Detect(nullptr);
  client.Append(Command());
  client.Commit();
  const std::vector<Json> events = client.ReadTo(kCompleted);
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"]);
  EXPECT_EQ(types, (std::vector<std::string>{
                       "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
                       "conversation.item.input_audio_transcription.delta", kCompleted}));
  EXPECT_EQ(events.back()["transcript"], "play some jazz music");
  EXPECT_EQ(events.back()["transcript"], Transcribed(server, Command()));
  EXPECT_EQ(events[3]["delta"], "play some jazz music");
  EXPECT_EQ(events.back()["item_id"], events[0]["item_id"]);
  EXPECT_GT(events.back()["usage"]["output_tokens"].get<int>(), 2);

  // Two items, one after the other; nothing was said in the second.
  client.Append(Command());
  client.Commit();
  client.Append(Silence(500));
  client.Commit();
  EXPECT_EQ(client.ReadTo(kCompleted).back()["transcript"], "play some jazz music");
  EXPECT_EQ(client.ReadTo(kCompleted).back()["transcript"], "");
}

TEST(Realtime, FindsWhatIsSpoken) {
  const ChickServer server;
  TalkClient client(server.port());
  client.Read();
  const std::string sound = Silence(800) + Command() + Silence(2000) + Command() + Silence(2000);
  client.Append(sound);
  for (int i = 0; i < 2; ++i) {
    const std::vector<Json> events = client.ReadTo(kCompleted);
    const auto of = [&](const std::string& type) {
      return *std::ranges::find_if(events, [&](const Json& event) { return event["type"] == type; });
    };
    if (i == 0) {
      const size_t begin = of("input_audio_buffer.speech_started")["audio_start_ms"];
      const size_t end = of("input_audio_buffer.speech_stopped")["audio_end_ms"];
      EXPECT_EQ(
          events.back()["transcript"],
          Transcribed(server, sound.substr(begin * kRealtimeBytesOfMs, (end - begin) * kRealtimeBytesOfMs)));
      EXPECT_EQ(events.back()["item_id"], of("input_audio_buffer.speech_started")["item_id"]);
    }
    EXPECT_EQ(events.back()["transcript"], "play some jazz music");
  }
}

TEST(Realtime, AnswersAreWhollyRefusedOrEventsSayWhatIsWrong) {
  ServerOptions options = ChickServer::Quiet();
  options.api_key = "secret";
  const ChickServer server(options);
  const Headers key = {{"Authorization", "Bearer secret"}};
  EXPECT_EQ(TalkClient(server.port()).status(), 401);
  EXPECT_EQ(TalkClient(server.port(), "", key).status(), 400);
  EXPECT_EQ(TalkClient(server.port(), "?intent=transcription&model=x", key).status(), 101);
  Headers stranger = key;
  stranger.emplace_back("Origin", "http://evil.example");
  EXPECT_EQ(TalkClient(server.port(), "?intent=transcription", stranger).status(), 403);
  stranger.back() = {"Host", "evil.example"};
  EXPECT_EQ(TalkClient(server.port(), "?intent=transcription", stranger).status(), 403);
  // As a page gives its key.
  TalkClient page(server.port(), "?intent=transcription",
                  {{"Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.secret"}});
  EXPECT_EQ(page.status(), 101);
  EXPECT_EQ(page.Header("Sec-WebSocket-Protocol"), "realtime");
  testing::Client plain(server.port());
  plain.Send(testing::HttpText("GET", "/v1/realtime?intent=transcription", {},
                               "Connection: close\r\nAuthorization: Bearer secret\r\n"));
  EXPECT_TRUE(plain.ReadAll().starts_with("HTTP/1.1 426 "));

  TalkClient client(server.port(), "?intent=transcription", key);
  client.Read();
  client.Send({{"type", "conversation.item.create"}, {"event_id", "e1"}});
  const Json error = client.Read();
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["error"]["event_id"], "e1");
  client.Commit();
  EXPECT_EQ(client.Read()["error"]["code"], "input_audio_buffer_commit_empty");
}

TEST(Realtime, LimitsWhatAClientMaySend) {
  ServerOptions options = ChickServer::Quiet();
  options.limits.talk_message = 1000;
  {
    const ChickServer server(options);
    TalkClient large(server.port());
    large.Read();
    large.Send({{"type", std::string(2000, 'x')}});
    EXPECT_TRUE(large.Read().is_null());
    EXPECT_EQ(large.close_code(), 1009);
  }
  options.limits.talk_idle = std::chrono::milliseconds(100);
  const ChickServer server(options);
  TalkClient silent(server.port());
  silent.Read();
  EXPECT_TRUE(silent.Read().is_null());
  EXPECT_EQ(silent.close_code(), 1000);
}

TEST(Realtime, BoundsWhatAllClientsHaveSent) {
  ServerOptions options = ChickServer::Quiet();
  options.limits.all_bodies = 100'000;
  const ChickServer server(options);
  TalkClient client(server.port());
  client.Read();
  client.Detect(nullptr);
  client.Append(Silence(3000));
  EXPECT_TRUE(client.Read().is_null());
  EXPECT_EQ(client.close_code(), 1013);
}

int64_t Answers(const ChickServer& server) {
  const std::string text = server.Ask("GET", "/metrics").body;
  const std::string name = "linnet_answers_total{kind=\"written\"} ";
  const size_t at = text.find(name);
  EXPECT_NE(at, std::string::npos) << text;
  return at == std::string::npos ? 0 : std::stoll(text.substr(at + name.size()));
}

TEST(Realtime, WorkEndsWithItsClient) {
  const ChickServer server;
  std::string sound;
  constexpr int kPieces = 100;
  for (int i = 0; i < kPieces; ++i) sound += Command() + Silence(1000);
  TalkClient client(server.port());
  client.Read();
  client.Detect(nullptr);
  client.Append(sound);
  client.Commit();
  EXPECT_EQ(client.ReadTo("conversation.item.input_audio_transcription.delta").back()["delta"],
            "play some jazz music");
  client.HangUp();
  // The server has seen to it when it has answered another.
  TalkClient other(server.port());
  other.Read();
  other.Detect(nullptr);
  other.Append(Command());
  other.Commit();
  EXPECT_EQ(other.ReadTo(kCompleted).back()["transcript"], "play some jazz music");
  EXPECT_LT(Answers(server), kPieces);
}

TEST(Realtime, AStoppedServerSaysSo) {
  ChickServer server;
  TalkClient idle(server.port()), busy(server.port());
  idle.Read();
  busy.Read();
  busy.Detect(nullptr);
  busy.Append(Command());
  busy.Commit();
  EXPECT_EQ(busy.Read()["type"], "input_audio_buffer.committed");
  kill(getpid(), SIGTERM);
  EXPECT_TRUE(idle.Read().is_null());
  EXPECT_EQ(idle.close_code(), 1001);
  EXPECT_EQ(busy.ReadTo(kCompleted).back()["transcript"], "play some jazz music");
  EXPECT_TRUE(busy.Read().is_null());
  EXPECT_EQ(busy.close_code(), 1001);
  server.Wait();
}

}  // namespace
}  // namespace linnet
