#include "server/web_socket.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <exception>
#include <memory>

#include "server/network_impl.h"

namespace linnet {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

// Named, since the types of coroutines hold it.
namespace web_socket {

constexpr size_t kReadAtOnce = 64 << 10;

inline auto Ignored(boost::system::error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

// What the coroutines that read and write share: the one that reads lives longer.
template <typename Stream>
struct Talking {
  Talking(Stream& stream, WebSocketTalk& the_talk, const NetworkLimits& the_limits)
      : socket(stream),
        talk(the_talk),
        limits(the_limits),
        wake(stream.get_executor()),
        taken(stream.get_executor()),
        written(stream.get_executor()) {
    for (auto* timer : {&wake, &taken, &written}) timer->expires_at(Clock::time_point::max());
  }

  void Drop() { boost::beast::get_lowest_layer(socket).close(); }

  using Clock = std::chrono::steady_clock;
  // Not compressed: what is small on the wire would be large here.
  websocket::stream<Stream&, false> socket;
  WebSocketTalk& talk;
  const NetworkLimits& limits;
  asio::steady_timer wake, taken, written;
  Clock::time_point heard = Clock::now();
  bool reading = true, writing = true, has_taken = false;
};

// Waits until it is cancelled, or for so long; whether the time was over.
inline asio::awaitable<bool> Expires(asio::steady_timer& timer) {
  boost::system::error_code error;
  co_await timer.async_wait(Ignored(error));
  co_return !error;
}

template <typename Stream>
asio::awaitable<void> WriteMessages(Talking<Stream>& talking) {
  boost::system::error_code error;
  WebSocketTalk::Outbox& outbox = talking.talk.outbox();
  talking.socket.text(true);
  while (talking.reading && !error) {
    if (!outbox.messages.empty()) {
      const std::string message = std::move(outbox.messages.front());
      outbox.messages.pop_front();
      outbox.bytes -= message.size();
      co_await talking.socket.async_write(asio::buffer(message), Ignored(error));
      continue;
    }
    if (outbox.end) {
      const websocket::close_reason reason(static_cast<websocket::close_code>(outbox.end->first),
                                           outbox.end->second);
      co_await talking.socket.async_close(reason, Ignored(error));
      break;
    }
    talking.wake.expires_at(talking.heard + talking.limits.talk_idle);
    const bool expired = co_await Expires(talking.wake);
    if (!expired || std::chrono::steady_clock::now() < talking.heard + talking.limits.talk_idle) continue;
    if (talking.talk.busy()) {
      talking.heard = std::chrono::steady_clock::now();
    } else {
      talking.talk.End(CloseCode::kNormal, "nothing came for long");
    }
  }
  // Whoever reads hears of it, also where the client does not answer.
  if (error && talking.reading) talking.Drop();
}

template <typename Stream>
asio::awaitable<void> ReadMessages(const std::shared_ptr<Talking<Stream>>& shared,
                                   const std::function<bool(uint64_t)>& take_room) {
  Talking<Stream>& talking = *shared;
  boost::beast::flat_buffer buffer;
  boost::system::error_code error;
  while (true) {
    co_await talking.socket.async_read_some(buffer, kReadAtOnce, Ignored(error));
    if (error) break;
    talking.heard = std::chrono::steady_clock::now();
    if (talking.talk.outbox().end) {  // all that still counts is the client's farewell
      buffer.clear();
      continue;
    }
    if (!take_room(buffer.size() + talking.talk.held())) {
      talking.talk.End(CloseCode::kTryAgainLater, "too much is being sent at once; try again in a while");
      continue;
    }
    if (!talking.socket.is_message_done()) continue;
    std::string message = boost::beast::buffers_to_string(buffer.data());
    buffer.clear();
    if (buffer.capacity() > kReadAtOnce) buffer.shrink_to_fit();
    talking.has_taken = false;
    const std::function<void()> done = [shared] {  // which may outlive the connection
      shared->has_taken = true;
      shared->taken.cancel();
    };
    talking.talk.Take(std::move(message), talking.socket.got_text(), done);
    while (!talking.has_taken) co_await Expires(talking.taken);
    (void)take_room(talking.talk.held());
  }
}

}  // namespace web_socket

template <typename Stream>
asio::awaitable<bool> ConverseOver(Stream& stream, const WebSocketOffer& offer, WebSocketTalk& talk,
                                   const WebSocketRoom& room) {
  const auto shared = std::make_shared<web_socket::Talking<Stream>>(stream, talk, room.limits);
  web_socket::Talking<Stream>& talking = *shared;
  boost::system::error_code error;
  boost::beast::get_lowest_layer(stream).expires_never();  // the socket has times of its own
  talking.socket.set_option(websocket::stream_base::timeout{.handshake_timeout = room.limits.header,
                                                            .idle_timeout = room.limits.talk_ping * 2,
                                                            .keep_alive_pings = true});
  talking.socket.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
    for (const auto& [name, value] : offer.headers) response.set(name, value);
  }));
  talking.socket.read_message_max(std::min<uint64_t>(room.limits.body_bytes, room.limits.talk_message));
  co_await talking.socket.async_accept(offer.request, web_socket::Ignored(error));
  if (error) co_return false;
  talk.outbox().wake = [&talking] { talking.wake.cancel(); };
  asio::co_spawn(stream.get_executor(), web_socket::WriteMessages(talking),
                 [&talking](const std::exception_ptr& lost) {
                   if (lost) talking.Drop();
                   talking.writing = false;
                   talking.written.cancel();
                 });
  try {
    co_await web_socket::ReadMessages(shared, room.take);
  } catch (const std::exception&) {  // there is no memory for it
    talking.Drop();
  }
  talking.reading = false;
  talking.wake.cancel();
  while (talking.writing) co_await web_socket::Expires(talking.written);
  talk.outbox().wake = nullptr;
  co_return true;
}

template asio::awaitable<bool> ConverseOver(SocketStream&, const WebSocketOffer&, WebSocketTalk&,
                                            const WebSocketRoom&);
template asio::awaitable<bool> ConverseOver(TlsStream&, const WebSocketOffer&, WebSocketTalk&,
                                            const WebSocketRoom&);

}  // namespace linnet
