#include "server/network.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/socket_testing.h"
#include "server/web_socket.h"

namespace linnet {
namespace {

using std::chrono::milliseconds;
using testing::BodyOf;
using testing::Client;
using testing::HttpText;

// Says what it hears, and goodbye when it hears "end".
class EchoTalk : public WebSocketTalk {
 public:
  void Take(std::string message, bool, std::function<void()> done) override {
    if (message == "end") End(CloseCode::kNormal, "as asked");
    Send(std::move(message));
    done();
  }
  void Stop() override { End(CloseCode::kGoingAway, "stopped"); }
  bool busy() const override { return false; }
  size_t held() const override { return 0; }
};

// Talks to it over a stream that is connected.
template <typename Stream>
void ExpectEcho(Stream& stream) {
  namespace websocket = boost::beast::websocket;
  websocket::stream<Stream&> socket(stream);
  boost::system::error_code error;
  socket.handshake("localhost", "/talk", error);
  ASSERT_FALSE(error) << error.message();
  const auto say = [&](const std::string& text) {
    socket.write(boost::asio::buffer(text), error);
    boost::beast::flat_buffer buffer;
    socket.read(buffer, error);
    return boost::beast::buffers_to_string(buffer.data());
  };
  const std::string long_text(70'000, 'x');
  for (const std::string& text : {std::string("first"), std::string("second"), long_text}) {
    EXPECT_EQ(say(text), text);
  }
  socket.ping("p", error);
  EXPECT_EQ(say("third"), "third");
  EXPECT_EQ(say("end"), "");
  EXPECT_EQ(error, websocket::error::closed);
  EXPECT_EQ(socket.reason().code, websocket::close_code::normal);
  EXPECT_EQ(socket.reason().reason, "as asked");
}

// A server that sends back what it gets, streams, or waits to be hung up on.
class NetworkTest : public ::testing::Test {
 protected:
  NetworkTest() {
    limits_.header_bytes = 4096;
    limits_.body_bytes = 100'000;
    limits_.all_bodies = 250'000;
    limits_.connections = 20;
    limits_.header = milliseconds(300);
    limits_.idle = milliseconds(2000);
    limits_.body = milliseconds(400);
    limits_.sign_of_life = milliseconds(100);
  }
  ~NetworkTest() override {
    if (!thread_.joinable()) return;
    network_->Post([this] { network_->StopNow(); });
    thread_.join();
  }

  void Start() {
    network_ = std::make_unique<Network>(
        limits_,
        HttpHandlers{.admit = [](HttpRequest& request, uint64_t&) -> std::optional<HttpAnswer> {
                       if (request.path == "/secret") return HttpAnswer{.status = 401, .body = "no"};
                       return std::nullopt;
                     },
                     .handle = [this](const ExchangePtr& exchange) { Handle(exchange); },
                     .refuse =
                         [](const HttpRequest&, int status, const std::string& message) {
                           return HttpAnswer{.status = status, .body = message};
                         },
                     .done = [this](const HttpExchange&, int, std::chrono::nanoseconds) { ++done_; }});
    const Status listening = network_->ListenTcp("127.0.0.1", 0);
    ASSERT_TRUE(listening.has_value()) << listening.error().Message();
    if (!unix_path_.empty()) {
      ASSERT_TRUE(network_->ListenUnix(unix_path_).has_value());
    }
    thread_ = std::thread([this] { network_->Run(); });
  }

  void Handle(const ExchangePtr& exchange) {
    const std::string& path = exchange->request().path;
    exchange->OnClosed([this] { ++hung_up_; });
    if (path == "/wait") return waiting_.push_back(exchange);
    if (path == "/talk" && exchange->upgradable())
      return exchange->Converse(std::make_shared<EchoTalk>(), "");
    if (path == "/stream") {
      exchange->Stream(kEventStream, [] { return std::string(": alive\n\n"); });
      waiting_.push_back(exchange);
      network_->After(milliseconds(250), [exchange] {
        exchange->Write("data: one\n\n");
        exchange->Write("data: two\n\n");
        exchange->End();
      });
      return;
    }
    exchange->Answer(
        {.type = "text/plain", .body = exchange->request().method + " " + exchange->request().body});
  }

  std::string Ask(const std::string& text) {
    Client client(network_->port());
    client.Send(text);
    return client.ReadAll(milliseconds(5000));
  }

  NetworkLimits limits_;
  std::string unix_path_;
  std::unique_ptr<Network> network_;
  std::vector<ExchangePtr> waiting_;
  std::atomic<int> done_ = 0, hung_up_ = 0;
  std::thread thread_;
};

TEST_F(NetworkTest, KeepsAConnectionForFurtherRequests) {
  Start();
  Client client(network_->port());
  for (const char* body : {"first", "second"}) {
    client.Send(HttpText("POST", "/echo", body));
    EXPECT_NE(client.ReadUntil(body).find("200 OK"), std::string::npos);
  }
  // Two at once, answered in their order.
  client.Send(HttpText("POST", "/echo", "third") + HttpText("POST", "/echo", "fourth"));
  EXPECT_NE(client.ReadUntil("POST third").find("200 OK"), std::string::npos);
  EXPECT_NE(client.ReadUntil("POST fourth").find("200 OK"), std::string::npos);
}

TEST_F(NetworkTest, FramesABodyInOneWayOrRefuses) {
  Start();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
  const std::string next = "GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n";
  EXPECT_NE(Ask(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + next).find("POST abc"),
            std::string::npos);
  for (const std::string& wrong :
       {head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        head + "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        head + "Transfer-Encoding: identity\r\n\r\n",
        head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        std::string("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
        head + "Content-Length: -1\r\n\r\n", head + "Content-Length: 3,3\r\n\r\nabc",
        std::string("\x01\x02\x03 / HTTP/1.1\r\n\r\n")}) {
    const std::string answer = Ask(wrong + next);
    EXPECT_NE(answer.find(" 400 "), std::string::npos) << wrong << "\n" << answer;
    EXPECT_EQ(answer.find(" 401 "), std::string::npos)
        << "what came behind was taken for a request: " << wrong;
  }
}

// The parser's own limits do not hold there.
TEST_F(NetworkTest, BoundsWhatStandsBetweenAndBehindChunks) {
  Start();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string trailers;
  for (int i = 0; i < 100'000; ++i) trailers += "a: b\r\n";
  for (const std::string& rest :
       {"0\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n", "0\r\n" + trailers + "\r\n",
        "2;" + std::string(300'000, 'x') + "\r\nab\r\n0\r\n\r\n"}) {
    const std::string answer = Ask(head + rest);
    EXPECT_TRUE(answer.find(" 400 ") != std::string::npos || answer.find(" 413 ") != std::string::npos)
        << rest.substr(0, 20) << "\n"
        << answer;
  }
  EXPECT_NE(Ask(head + "2\r\nab\r\n0\r\nX: a\r\n\r\n").find("POST ab"), std::string::npos);
}

// What follows a POST without a length may be its body, as where a line folds its length into another field.
TEST_F(NetworkTest, ClosesBehindAPostWithoutALength) {
  Start();
  const std::string answer =
      Ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nX: a\r\n Content-Length: 30\r\n\r\n"
          "GET /secret HTTP/1.1\r\n\r\n");
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_EQ(answer.find(" 401 "), std::string::npos) << answer;
}

// Often: an error in what is done about them shows in memory, and not always.
TEST_F(NetworkTest, OutlivesManyHeadersThatAreNone) {
  Start();
  for (int i = 0; i < 50; ++i) {
    EXPECT_NE(Ask("GET / HTTP/1.1\nHost: localhost\n\n").find(" 400 "), std::string::npos);
    EXPECT_NE(Ask("GET / HTTP/1.1\r\nNo colon\r\n\r\n").find(" 400 "), std::string::npos);
  }
  Client client(network_->port());
  client.Send(HttpText("POST", "/echo", "after"));
  EXPECT_NE(client.ReadUntil("POST after").find("200 OK"), std::string::npos);
}

TEST_F(NetworkTest, BoundsHeadersBodiesAndTheirSum) {
  Start();
  EXPECT_NE(Ask("GET / HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n").find(" 431 "),
            std::string::npos);
  EXPECT_NE(Ask(HttpText("POST", "/echo", std::string(100'001, 'x'))).find(" 413 "), std::string::npos);
  EXPECT_NE(Ask(HttpText("POST", "/echo", std::string(100'000, 'x'))).find(" 200 "), std::string::npos);
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunked += "2710\r\n" + std::string(10'000, 'x') + "\r\n";
  EXPECT_NE(Ask(chunked + "0\r\n\r\n").find(" 413 "), std::string::npos);
  Client first(network_->port()), second(network_->port());
  for (Client* client : {&first, &second}) {
    client->Send(HttpText("POST", "/wait", std::string(100'000, 'x')));
  }
  while (true) {  // until both are there
    Client third(network_->port());
    third.Send(HttpText("POST", "/echo", std::string(60'000, 'x')));
    if (third.ReadUntil("\r\n").find(" 503 ") != std::string::npos) break;
  }
}

TEST_F(NetworkTest, RefusesByTheHeaderAlone) {
  Start();
  Client client(network_->port());
  client.Send("POST /secret HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n");
  EXPECT_NE(client.ReadUntil("no").find(" 401 "), std::string::npos);  // none of the body was sent
}

TEST_F(NetworkTest, WaitsForNobodyLongerThanItSays) {
  Start();
  Client header(network_->port()), body(network_->port());
  header.Send("GET / HTTP/1.1\r\nHost:");
  body.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc");
  header.ReadAll(milliseconds(5000));
  EXPECT_TRUE(header.closed());
  body.ReadAll(milliseconds(8000));
  EXPECT_TRUE(body.closed());
}

TEST_F(NetworkTest, StreamsWithSignsOfLife) {
  Start();
  Client client(network_->port());
  client.Send(HttpText("GET", "/stream"));
  const std::string answer = client.ReadUntil("0\r\n\r\n");
  EXPECT_NE(answer.find("text/event-stream"), std::string::npos);
  EXPECT_LT(answer.find(": alive\n\n"), answer.find("data: one\n\n"));
  EXPECT_NE(answer.find("data: two\n\n"), std::string::npos);
  const std::string old = Ask("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.find("chunked"), std::string::npos);
  EXPECT_TRUE(old.ends_with("data: one\n\ndata: two\n\n")) << old;
}

TEST_F(NetworkTest, SeesThatAClientHungUp) {
  Start();
  {
    Client client(network_->port());
    client.Send(HttpText("GET", "/wait"));
    EXPECT_EQ(client.ReadUntil("x", milliseconds(200)), "");
  }
  for (int i = 0; i < 100 && hung_up_ == 0; ++i) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(hung_up_, 1);
}

TEST_F(NetworkTest, AsksForABodyThatWaitsToBeAskedFor) {
  Start();
  Client client(network_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("abc");
  EXPECT_NE(client.ReadUntil("POST abc").find(" 200 "), std::string::npos);
}

TEST_F(NetworkTest, AnswersHeadWithoutABody) {
  Start();
  const std::string answer = Ask("HEAD /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find(" 200 "), std::string::npos);
  EXPECT_NE(answer.find("Content-Length: 5"), std::string::npos);
  EXPECT_EQ(BodyOf(answer), "");
}

TEST_F(NetworkTest, SaysWhenItIsFull) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(network_->port()));
    clients.back()->Send(HttpText("POST", "/echo", "x"));
    clients.back()->ReadUntil("POST x");
  }
  EXPECT_NE(Ask("").find(" 503 "), std::string::npos);
  clients.clear();
  for (int i = 0; i < 100; ++i) {
    if (Ask("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").find(" 200 ") != std::string::npos)
      return;
    std::this_thread::sleep_for(milliseconds(20));
  }
  FAIL() << "connections that ended still count";
}

// A certificate that signs itself, and its key, as files.
struct Certificate {
  std::string certificate, key;
};
Certificate MakeCertificate(const std::string& name) {
  const std::string base =
      (std::filesystem::temp_directory_path() / ("linnet_" + name + std::to_string(getpid()))).string();
  Certificate files{base + ".crt", base + ".key"};
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_set_pubkey(made.get(), key.get());
  X509_NAME* const subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const uint8_t*>("localhost"), -1,
                             -1, 0);
  X509_set_issuer_name(made.get(), subject);
  X509_sign(made.get(), key.get(), EVP_sha256());
  const auto write = [](const std::string& path, const auto& body) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    body(file);
    std::fclose(file);
  };
  write(files.certificate, [&](std::FILE* file) { PEM_write_X509(file, made.get()); });
  write(files.key, [&](std::FILE* file) {
    PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return files;
}

TEST_F(NetworkTest, SpeaksTls) {
  const Certificate files = MakeCertificate("tls"), others = MakeCertificate("other");
  Start();
  std::promise<void> ready;
  network_->Post([&] {
    EXPECT_FALSE(network_->UseTls(files.certificate, others.key).has_value());
    EXPECT_FALSE(network_->UseTls(files.key, files.key).has_value());
    EXPECT_TRUE(network_->UseTls(files.certificate, files.key).has_value());
    ready.set_value();
  });
  ready.get_future().wait();
  boost::asio::io_context context;
  boost::asio::ssl::context tls(boost::asio::ssl::context::tls_client);
  const auto connect = [&] {
    auto stream = std::make_unique<boost::asio::ssl::stream<boost::asio::ip::tcp::socket>>(context, tls);
    stream->lowest_layer().connect({boost::asio::ip::address_v4::loopback(), network_->port()});
    stream->handshake(boost::asio::ssl::stream_base::client);
    return stream;
  };
  const auto ask = [](auto& stream, const std::string& text) {
    boost::asio::write(stream, boost::asio::buffer(text));
    std::string answer;
    boost::system::error_code ignored;
    boost::asio::read_until(stream, boost::asio::dynamic_buffer(answer), "POST first", ignored);
    return answer;
  };
  auto stream = connect();
  EXPECT_NE(ask(*stream, HttpText("POST", "/echo", "first")).find(" 200 "), std::string::npos);
  EXPECT_NE(ask(*stream, HttpText("POST", "/echo", "first")).find(" 200 "), std::string::npos);
  ExpectEcho(*connect());
  // One that says goodbye while it is waited for, and one that does not.
  for (const bool politely : {true, false}) {
    auto waiting = connect();
    boost::asio::write(*waiting, boost::asio::buffer(HttpText("GET", "/wait")));
    std::this_thread::sleep_for(milliseconds(100));
    if (politely) SSL_shutdown(waiting->native_handle());
    const int before = hung_up_;
    if (!politely) waiting->lowest_layer().close();
    for (int i = 0; i < 100 && hung_up_ == before && hung_up_ < 2; ++i)
      std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_GE(hung_up_, 1);
  EXPECT_EQ(Ask(HttpText("GET", "/echo")).find("200 OK"), std::string::npos) << "plain text is not answered";
  for (const Certificate& one : {files, others}) {
    std::filesystem::remove(one.certificate);
    std::filesystem::remove(one.key);
  }
}

TEST_F(NetworkTest, WhoWaitsIsToldBeforeItStops) {
  Start();
  Client client(network_->port());
  client.Send(HttpText("GET", "/wait"));
  for (size_t waiting = 0; waiting == 0;) {
    std::promise<size_t> found;
    network_->Post([&] { found.set_value(waiting_.size()); });
    waiting = found.get_future().get();
  }
  network_->Post([this] { network_->StopNow(); });
  thread_.join();
  EXPECT_EQ(hung_up_, 1);
}

TEST_F(NetworkTest, TalksOverWebSockets) {
  unix_path_ =
      (std::filesystem::temp_directory_path() / ("linnet_talk_" + std::to_string(getpid()))).string();
  Start();
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket tcp(context);
  tcp.connect({boost::asio::ip::address_v4::loopback(), network_->port()});
  ExpectEcho(tcp);
  boost::asio::local::stream_protocol::socket local(context);
  local.connect({unix_path_});
  ExpectEcho(local);
  // A client that does not know what it wants is answered as any other.
  EXPECT_NE(Ask(HttpText("GET", "/talk", {}, "Connection: close\r\n")).find(" 200 OK"), std::string::npos);
  const std::string upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  EXPECT_NE(Ask(HttpText("GET", "/talk", {}, upgrade + "Sec-WebSocket-Version: 12\r\n")).find(" 101 "), 9U);
  const std::string eager =
      HttpText("GET", "/talk", {}, upgrade + "Sec-WebSocket-Version: 13\r\n") + "frames";
  EXPECT_NE(Ask(eager).find(" 400 "), std::string::npos);
}

TEST_F(NetworkTest, AskedClientsThatDoNotAnswerAreLeft) {
  limits_.talk_ping = milliseconds(50);
  Start();
  Client client(network_->port());
  client.Send(HttpText("GET", "/talk", {},
                       "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
  const std::string all = client.ReadAll();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 101 ")) << all;
  EXPECT_TRUE(client.closed());
  EXPECT_NE(all.find("\r\n\r\n\x89"), std::string::npos) << "a ping";
}

TEST_F(NetworkTest, UnixSocketsAreForTheirOwner) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("linnet_socket_" + std::to_string(getpid()))).string();
  Start();
  Network other({}, {});
  ASSERT_TRUE(other.ListenUnix(path).has_value());
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::mask,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  Network second({}, {});
  EXPECT_FALSE(second.ListenUnix(path).has_value()) << "somebody listens there";
  EXPECT_FALSE(second.ListenUnix("/nowhere/at/all").has_value());
}

}  // namespace
}  // namespace linnet
