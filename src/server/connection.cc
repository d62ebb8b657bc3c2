#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

#include "server/network_impl.h"

namespace linnet {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr uint64_t kSlowestBody = 64 << 10;  // bytes a second
// What a client still sends that was refused is read for a while, so that it sees the answer.
constexpr uint64_t kLingerBytes = 8 << 20;
constexpr std::chrono::milliseconds kLinger{2'000};

auto Into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

HttpRequest ToRequest(const http::header<true>& header) {
  HttpRequest request;
  request.method = header.method_string();
  const std::string_view target(header.target().data(), header.target().size());
  request.path = target.substr(0, target.find('?'));
  if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
  for (const auto& field : header) {
    request.headers.emplace_back(LowerCase(field.name_string()), std::string(field.value()));
  }
  return request;
}

// Why a header does not say where its body ends in one way that all agree on; empty if it does.
std::string WrongFraming(const http::header<true>& header, bool chunked) {
  const auto transfers = std::distance(header.equal_range(http::field::transfer_encoding).first,
                                       header.equal_range(http::field::transfer_encoding).second);
  const auto lengths = std::distance(header.equal_range(http::field::content_length).first,
                                     header.equal_range(http::field::content_length).second);
  if (transfers > 0 && lengths > 0) return "both Content-Length and Transfer-Encoding are given";
  if (transfers > 1 || lengths > 1) return "the length of the body is given twice";
  if (header[http::field::content_length].find_first_not_of("0123456789") != std::string_view::npos) {
    return "Content-Length is no number";  // the parser takes lists of the same one
  }
  if (transfers == 0) return {};
  if (header.version() < 11) return "HTTP/1.0 has no Transfer-Encoding";
  return chunked && boost::beast::iequals(header[http::field::transfer_encoding], "chunked")
             ? std::string()
             : "this Transfer-Encoding is not supported; 'chunked' is";
}

// Of a socket that can be read, whether its client has gone. Under TLS it may say so first: an alert is a
// record that is shorter than any request.
bool HungUp(int socket, bool tls) {
  std::array<uint8_t, 5> head = {};
  const ssize_t size = recv(socket, head.data(), head.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  if (size == 0 || !tls) return size == 0;
  constexpr uint8_t kAlert = 21;
  constexpr int kLongestAlert = 24;
  return head[0] == kAlert || (size == 5 && (head[3] << 8 | head[4]) <= kLongestAlert);
}

using Headers = std::vector<std::pair<std::string, std::string>>;

void AddHeaders(http::header<false>& header, const Headers& headers) {
  for (const auto& [name, value] : headers) header.set(name, value);
}

}  // namespace

template <typename Stream>
Connection<Stream>::~Connection() {
  if (exchange_ != nullptr) exchange_->Close();
  network_.connections.erase(this);
  network_.body_bytes -= body_bytes_;
}

template <typename Stream>
void Connection<Stream>::Stop() {
  stopping_ = true;
  error_code ignored;
  if (exchange_ == nullptr) {
    lowest().socket().shutdown(Socket::shutdown_receive, ignored);
  } else if (exchange_->output().talk != nullptr) {
    exchange_->output().talk->Stop();
  }
}

template <typename Stream>
asio::awaitable<void> Connection<Stream>::Run() {
  const auto self = this->shared_from_this();
  if (!co_await Handshake()) co_return;
  while (!stopping_ && !network_.stopping && co_await ServeOne()) {
  }
  error_code ignored;
  if constexpr (kTls) {
    lowest().expires_after(kLinger);
    co_await stream_.async_shutdown(Into(ignored));
  }
  lowest().socket().shutdown(Socket::shutdown_send, ignored);
  if (unread_) co_await Linger();
  lowest().close();
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::Handshake() {
  error_code error;
  if constexpr (kTls) {
    lowest().expires_after(network_.limits.header);
    co_await stream_.async_handshake(asio::ssl::stream_base::server, Into(error));
  }
  co_return !error;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WaitForRequest() {
  if (buffer_.size() > 0) co_return true;  // sent together with the one before
  error_code error;
  lowest().expires_after(network_.limits.idle);
  const size_t size = co_await stream_.async_read_some(buffer_.prepare(kReadPiece), Into(error));
  buffer_.commit(size);
  co_return !error;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::ReadHeader(HeaderParser& parser) {
  error_code error;
  parser.header_limit(static_cast<uint32_t>(network_.limits.header_bytes));
  parser.body_limit(boost::none);  // decided once the header is known
  lowest().expires_after(network_.limits.header);
  co_await http::async_read_header(stream_, buffer_, parser, Into(error));
  if (!error) co_return true;
  if (error == http::error::end_of_stream || error == boost::beast::error::timeout ||
      error.category() != http::make_error_code(http::error::bad_method).category()) {
    co_return false;
  }
  keep_alive_ = false;
  unread_ = true;
  const HttpRequest request = ToRequest(parser.get());
  const bool large = error == http::error::header_limit || error == http::error::buffer_overflow;
  std::string message = "this is no HTTP request (" + error.message() + ")";
  if (large) {
    message =
        "the header is larger than " + std::to_string(network_.limits.header_bytes) + " bytes; send less";
  }
  co_await Refuse(request, large ? 431 : 400, message);
  co_return false;
}

template <typename Stream>
bool Connection<Stream>::TakeBodyRoom(uint64_t bytes) {
  if (network_.body_bytes + bytes > network_.limits.all_bodies) return false;
  network_.body_bytes += bytes;
  body_bytes_ += bytes;
  return true;
}

// The same, instead of what it had.
template <typename Stream>
bool Connection<Stream>::HoldBodyRoom(uint64_t bytes) {
  if (bytes > body_bytes_) return TakeBodyRoom(bytes - body_bytes_);
  network_.body_bytes -= std::exchange(body_bytes_, bytes) - bytes;
  return true;
}

template <typename Stream>
asio::awaitable<std::optional<HttpAnswer>> Connection<Stream>::ReadBody(HeaderParser& header, uint64_t most,
                                                                        std::string& body) {
  const HttpRequest& request = exchange_->request();
  const auto refused = [&](int status, std::string message) {
    keep_alive_ = false;
    unread_ = true;
    return network_.handlers.refuse(request, status, std::move(message));
  };
  const uint64_t length = header.content_length().value_or(0);
  const std::string limit = "the body is larger than " + std::to_string(most) + " bytes";
  if (length > most) co_return refused(413, limit + "; send less at once");
  const char* const full = "too much is being sent at once; try again in a while";
  if (!TakeBodyRoom(length)) co_return refused(503, full);
  error_code error;
  if (boost::beast::iequals(request.Header("expect"), "100-continue")) {
    lowest().expires_after(network_.limits.write);
    co_await asio::async_write(stream_, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                               Into(error));
  }
  BodyParser parser(std::move(header));
  parser.body_limit(most);
  lowest().expires_after(network_.limits.body +
                         std::chrono::seconds((parser.chunked() ? most : length) / kSlowestBody));
  // The parser counts what the chunks hold; what stands between and behind them may not be more than that.
  const uint64_t most_sent = 2 * most + network_.limits.header_bytes;
  for (uint64_t sent = 0; !error && !parser.is_done() && sent <= most_sent;) {
    sent += co_await http::async_read_some(stream_, buffer_, parser, Into(error));
    const uint64_t size = parser.get().body().size();  // of one in chunks nobody has said it before
    if (size > body_bytes_ && !TakeBodyRoom(size - body_bytes_)) co_return refused(503, full);
  }
  if (error == http::error::body_limit || (!error && !parser.is_done())) {
    co_return refused(413, limit + "; send less at once");
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    co_return refused(400, "the body is damaged (" + error.message() + ")");
  }
  if (error) co_return refused(408, "the body did not come");  // where anybody still hears it
  body = std::move(parser.get().body());
  co_return std::nullopt;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::ServeOne() {
  if (!co_await WaitForRequest()) co_return false;
  HeaderParser parser;
  if (!co_await ReadHeader(parser)) co_return false;
  const auto begin = std::chrono::steady_clock::now();
  const auto& header = parser.get();
  http10_ = header.version() < 11;
  head_ = header.method() == http::verb::head;
  // A body in chunks may end in trailers that this version of the parser takes for header fields. A POST that
  // does not say how long it is may have a body after all.
  keep_alive_ = parser.keep_alive() && !parser.chunked() &&
                (header.method() != http::verb::post || parser.content_length());
  exchange_ = std::make_shared<HttpExchange>(ToRequest(header));
  HttpExchange& exchange = *exchange_;
  if (boost::beast::websocket::is_upgrade(header)) {
    offer_.request.base() = header;
    exchange.SetUpgradable();
  }
  uint64_t most = network_.limits.body_bytes;
  std::optional<HttpAnswer> refusal;
  if (const std::string wrong = WrongFraming(header, parser.chunked()); !wrong.empty()) {
    keep_alive_ = false;
    unread_ = true;
    refusal = network_.handlers.refuse(exchange.request(), 400, wrong);
  } else if ((refusal = network_.handlers.admit(exchange.request(), most))) {
    unread_ = parser.chunked() || parser.content_length().value_or(0) > 0;
    keep_alive_ = keep_alive_ && !unread_;
  } else if (parser.chunked() || parser.content_length().value_or(0) > 0) {
    refusal = co_await ReadBody(parser, most, exchange.request().body);
  }
  lowest().expires_never();
  if (refusal) {
    exchange.Answer(std::move(*refusal));
  } else {
    asio::co_spawn(stream_.get_executor(), Watch(exchange_), asio::detached);
    network_.handlers.handle(exchange_);
  }
  const bool sent = co_await WriteAnswer(exchange);
  exchange.Close();
  network_.handlers.done(exchange, sent ? status_ : 499, std::chrono::steady_clock::now() - begin);
  exchange_.reset();
  network_.body_bytes -= std::exchange(body_bytes_, 0);
  error_code ignored;
  lowest().socket().cancel(ignored);  // Watch()
  co_return sent&& keep_alive_;
}

// Ends when the client hangs up while it is waited for, or when the exchange is over.
template <typename Stream>
asio::awaitable<void> Connection<Stream>::Watch(ExchangePtr exchange) {
  const auto self = this->shared_from_this();
  error_code error;
  co_await lowest().socket().async_wait(Socket::wait_read, Into(error));
  if (error || exchange->closed() || exchange->output().talk != nullptr) co_return;
  if (!HungUp(lowest().socket().native_handle(), kTls)) co_return;  // the next request
  exchange->Close();
  wake_.cancel();
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WriteAnswer(HttpExchange& exchange) {
  exchange.SetWake([this] { wake_.cancel(); });
  while (!exchange.closed()) {
    if (HttpExchange::Output& output = exchange.output(); output.answer) {
      co_return co_await WriteWhole(*output.answer);
    }
    if (exchange.output().stream_type) co_return co_await WriteStream(exchange);
    if (exchange.output().talk != nullptr) co_return co_await Converse(exchange);
    error_code ignored;
    wake_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await wake_.async_wait(Into(ignored));
  }
  co_return false;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WriteStream(HttpExchange& exchange) {
  bool head_written = false;
  HttpExchange::Output& output = exchange.output();
  while (!exchange.closed()) {
    if (output.answer) co_return co_await WriteWhole(*output.answer);  // refused before it began
    std::string piece = std::exchange(output.pieces, {});
    const bool last = exchange.ended();
    if (piece.empty() && !last) {
      error_code expired;
      wake_.expires_after(network_.limits.sign_of_life);
      co_await wake_.async_wait(Into(expired));
      if (expired || exchange.closed() || !output.pieces.empty() || exchange.ended()) continue;
      piece = output.sign_of_life();
      if (piece.empty()) continue;
    }
    exchange.SetBegun();
    if (!head_written && !co_await WriteStreamHead(*output.stream_type)) co_return false;
    head_written = true;
    if (!co_await WritePiece(piece, last)) co_return false;
    if (last) co_return true;
  }
  co_return false;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::Converse(HttpExchange& exchange) {
  keep_alive_ = false;
  if (buffer_.size() > 0) {  // frames behind a handshake that nobody has answered
    const HttpAnswer refusal = network_.handlers.refuse(exchange.request(), 400,
                                                        "something was sent before the WebSocket was there");
    co_return co_await WriteWhole(refusal);
  }
  error_code ignored;
  lowest().socket().cancel(ignored);  // Watch()
  const std::shared_ptr<WebSocketTalk> talk = exchange.output().talk;
  offer_.headers = exchange.headers();
  if (!exchange.output().protocol.empty()) {
    offer_.headers.emplace_back("Sec-WebSocket-Protocol", exchange.output().protocol);
  }
  const WebSocketRoom room{network_.limits, [this](uint64_t bytes) { return HoldBodyRoom(bytes); }};
  status_ = 101;
  if (network_.stopping) talk->Stop();
  co_return co_await ConverseOver(stream_, offer_, *talk, room);
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WriteWhole(const HttpAnswer& answer) {
  http::response<http::string_body> response{static_cast<http::status>(answer.status), http10_ ? 10u : 11u};
  status_ = answer.status;
  response.set(http::field::content_type, answer.type);
  AddHeaders(response, answer.headers);
  if (exchange_ != nullptr) AddHeaders(response, exchange_->headers());
  response.keep_alive(keep_alive_ && !network_.stopping);
  response.content_length(answer.body.size());
  error_code error;
  lowest().expires_after(network_.limits.write + std::chrono::seconds(answer.body.size() / kSlowestBody));
  if (head_) {
    http::response_serializer<http::string_body> serializer(response);
    co_await http::async_write_header(stream_, serializer, Into(error));
  } else {
    response.body() = answer.body;
    co_await http::async_write(stream_, response, Into(error));
  }
  co_return !error;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WriteStreamHead(const std::string& type) {
  http::response<http::empty_body> response{http::status::ok, http10_ ? 10u : 11u};
  status_ = 200;
  response.set(http::field::content_type, type);
  response.set(http::field::cache_control, "no-cache");
  AddHeaders(response, exchange_->headers());
  if (http10_) keep_alive_ = false;
  response.keep_alive(keep_alive_ && !network_.stopping);
  if (!http10_) response.chunked(true);
  http::response_serializer<http::empty_body> serializer(response);
  error_code error;
  lowest().expires_after(network_.limits.write);
  co_await http::async_write_header(stream_, serializer, Into(error));
  co_return !error;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::WritePiece(const std::string& piece, bool last) {
  error_code error;
  lowest().expires_after(network_.limits.write);
  if (!piece.empty() && http10_) co_await asio::async_write(stream_, asio::buffer(piece), Into(error));
  if (!piece.empty() && !http10_) {
    co_await asio::async_write(stream_, http::make_chunk(asio::buffer(piece)), Into(error));
  }
  if (last && !error && !http10_) co_await asio::async_write(stream_, http::make_chunk_last(), Into(error));
  co_return !error;
}

template <typename Stream>
asio::awaitable<bool> Connection<Stream>::Refuse(const HttpRequest& request, int status,
                                                 const std::string& message) {
  const HttpAnswer answer = network_.handlers.refuse(request, status, message);
  const bool sent = co_await WriteWhole(answer);
  network_.handlers.done(HttpExchange(request), status, {});
  co_return sent;
}

template <typename Stream>
asio::awaitable<void> Connection<Stream>::Linger() {
  error_code error;
  lowest().expires_after(kLinger);
  for (uint64_t read = 0; read < kLingerBytes && !error;) {
    buffer_.clear();
    read += co_await stream_.async_read_some(buffer_.prepare(kReadPiece), Into(error));
  }
}

template class Connection<SocketStream>;
template class Connection<TlsStream>;

}  // namespace linnet
