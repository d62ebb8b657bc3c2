// Inside of the network, which two files share.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "server/network.h"
#include "server/web_socket.h"

namespace linnet {

// TCP and Unix sockets alike.
using Socket = boost::asio::generic::stream_protocol::socket;
using SocketStream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
using TlsStream = boost::beast::ssl_stream<SocketStream>;

// A request to go on as a WebSocket, and what is to be said in its answer.
struct WebSocketOffer {
  boost::beast::http::request<boost::beast::http::empty_body> request;
  std::vector<std::pair<std::string, std::string>> headers;
};
struct WebSocketRoom {
  const NetworkLimits& limits;
  // Whether so many bytes of the client may be kept now.
  std::function<bool(uint64_t bytes)> take;
};
// The talk from its handshake to its end; whether there was one. Nothing else may use the stream meanwhile.
template <typename Stream>
boost::asio::awaitable<bool> ConverseOver(Stream& stream, const WebSocketOffer& offer, WebSocketTalk& talk,
                                          const WebSocketRoom& room);

class ClientConnection {
 public:
  virtual ~ClientConnection() = default;
  // Ends it unless a request is being answered, which ends it afterwards.
  virtual void Stop() = 0;
  // Its request will not be answered any more.
  virtual void GiveUp() = 0;
};

struct Network::Impl {
  Impl(NetworkLimits the_limits, HttpHandlers the_handlers)
      : limits(the_limits), handlers(std::move(the_handlers)) {}

  template <typename Acceptor>
  boost::asio::awaitable<void> Accept(Acceptor& acceptor);
  void Serve(Socket socket);

  NetworkLimits limits;
  HttpHandlers handlers;
  // These outlive the context, which ends the connections.
  std::set<ClientConnection*> connections;
  uint64_t body_bytes = 0;  // of all connections
  boost::asio::io_context context{1};
  std::vector<std::unique_ptr<boost::asio::ip::tcp::acceptor>> tcp;
  std::vector<std::unique_ptr<boost::asio::local::stream_protocol::acceptor>> local;
  std::vector<std::string> local_paths;
  std::unique_ptr<boost::asio::signal_set> signals;
  std::unique_ptr<boost::asio::ssl::context> tls;  // none: connections are plain
  bool stopping = false;
};

// One client: its requests, one after the other.
//
// Coroutines take references to what their caller holds while it waits for them, never temporaries: GCC 12
// destroys some of those twice.
template <typename Stream>
class Connection : public ClientConnection, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Network::Impl& network, Stream stream)
      : network_(network),
        stream_(std::move(stream)),
        wake_(stream_.get_executor()),
        buffer_(std::max<size_t>(network.limits.header_bytes, kReadPiece)) {
    network_.connections.insert(this);
  }
  ~Connection() override;

  boost::asio::awaitable<void> Run();
  void Stop() override;
  void GiveUp() override {
    if (exchange_ != nullptr) exchange_->Close();
  }

 private:
  using HeaderParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;
  using BodyParser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;
  // Below TLS.
  SocketStream& lowest() { return boost::beast::get_lowest_layer(stream_); }

  boost::asio::awaitable<bool> Handshake();
  // Whether another request may follow.
  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> WaitForRequest();
  boost::asio::awaitable<bool> ReadHeader(HeaderParser& parser);
  boost::asio::awaitable<std::optional<HttpAnswer>> ReadBody(HeaderParser& header, uint64_t most,
                                                             std::string& body);
  // Whether all of it went out.
  boost::asio::awaitable<bool> WriteAnswer(HttpExchange& exchange);
  boost::asio::awaitable<bool> WriteStream(HttpExchange& exchange);
  boost::asio::awaitable<bool> Converse(HttpExchange& exchange);
  boost::asio::awaitable<bool> WriteWhole(const HttpAnswer& answer);
  boost::asio::awaitable<bool> WriteStreamHead(const std::string& type);
  boost::asio::awaitable<bool> WritePiece(const std::string& piece, bool last);
  boost::asio::awaitable<bool> Refuse(const HttpRequest& request, int status, const std::string& message);
  boost::asio::awaitable<void> Watch(ExchangePtr exchange);
  boost::asio::awaitable<void> Linger();
  bool TakeBodyRoom(uint64_t bytes);
  bool HoldBodyRoom(uint64_t bytes);

  static constexpr size_t kReadPiece = 16 << 10;

  Network::Impl& network_;
  Stream stream_;
  boost::asio::steady_timer wake_;
  // Bounded: the parser bounds headers, but neither trailers nor what may stand behind a chunk's size.
  boost::beast::flat_buffer buffer_;
  ExchangePtr exchange_;     // that is being answered
  WebSocketOffer offer_;     // where it may become a WebSocket
  uint64_t body_bytes_ = 0;  // of it
  bool keep_alive_ = false, http10_ = false, head_ = false;
  bool stopping_ = false;
  bool unread_ = false;  // of what the client sent, or may still send
  int status_ = 0;
};

}  // namespace linnet
