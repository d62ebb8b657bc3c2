#include "server/network.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <stdexcept>

#include "server/network_impl.h"

namespace linnet {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kAcceptAgain{100};

// Of files that this process may have open, as many as the system lets it.
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::unexpected<Error> CannotListen(const std::string& where, const error_code& error, std::string hint) {
  return Fail(ErrorCode::kInvalidArgument, "cannot listen at " + where + ": " + error.message(),
              std::move(hint));
}

template <typename Acceptor, typename Endpoint>
error_code Open(Acceptor& acceptor, const Endpoint& endpoint) {
  error_code error;
  if (acceptor.open(endpoint.protocol(), error)) return error;
  acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (acceptor.bind(endpoint, error)) return error;
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

// Whether somebody answers at a socket.
bool IsServed(asio::io_context& context, const asio::local::stream_protocol::endpoint& endpoint) {
  asio::local::stream_protocol::socket probe(context);
  error_code error;
  return !probe.connect(endpoint, error);
}

}  // namespace

Network::Network(NetworkLimits limits, HttpHandlers handlers)
    : impl_(std::make_unique<Impl>(limits, std::move(handlers))) {
  RaiseFileLimit();
}

Network::~Network() {
  for (const std::string& path : impl_->local_paths) unlink(path.c_str());
}

Status Network::ListenTcp(const std::string& host, uint16_t port) {
  const std::string where = host + ":" + std::to_string(port);
  error_code error;
  asio::ip::tcp::resolver resolver(impl_->context);
  const auto found = resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty()) return CannotListen(where, error, "give an address of this machine");
  auto acceptor = std::make_unique<asio::ip::tcp::acceptor>(impl_->context);
  error = Open(*acceptor, found.begin()->endpoint());
  if (error) {
    return CannotListen(where, error, "give another --port, or end the program that listens there");
  }
  impl_->tcp.push_back(std::move(acceptor));
  return {};
}

Status Network::ListenUnix(const std::string& path) {
  const char* const kHint = "give the path of a socket that is not there yet, in a directory of yours";
  if (path.size() > 100) {
    return CannotListen(path, asio::error::make_error_code(asio::error::name_too_long), kHint);
  }
  const asio::local::stream_protocol::endpoint endpoint(path);
  struct stat facts = {};
  if (lstat(path.c_str(), &facts) == 0 && S_ISSOCK(facts.st_mode) && !IsServed(impl_->context, endpoint)) {
    unlink(path.c_str());
  }
  auto acceptor = std::make_unique<asio::local::stream_protocol::acceptor>(impl_->context);
  const mode_t before = umask(0177);
  const error_code error = Open(*acceptor, endpoint);
  umask(before);
  if (error) return CannotListen(path, error, kHint);
  impl_->local.push_back(std::move(acceptor));
  impl_->local_paths.push_back(path);
  return {};
}

Status Network::UseTls(const std::string& certificates, const std::string& key) {
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  error_code error;
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression,
                   error);
  const auto wrong = [&](const std::string& file) {
    return Fail(ErrorCode::kBadFile, file + ": " + error.message(),
                "give the server's certificate, with those above it, and its key, both as PEM");
  };
  if (tls->use_certificate_chain_file(certificates, error)) return wrong(certificates);
  if (tls->use_private_key_file(key, asio::ssl::context::pem, error)) return wrong(key);
  if (SSL_CTX_check_private_key(tls->native_handle()) != 1) {
    return Fail(ErrorCode::kBadFile, key + ": it does not belong to " + certificates, "give the two that do");
  }
  impl_->tls = std::move(tls);  // connections keep what they began with
  return {};
}

uint16_t Network::port() const {
  return impl_->tcp.empty() ? uint16_t{0} : impl_->tcp.front()->local_endpoint().port();
}

template <typename Acceptor>
asio::awaitable<void> Network::Impl::Accept(Acceptor& acceptor) {
  while (acceptor.is_open()) {
    error_code error;
    auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) break;
    if (error) {  // no file is left: others end
      asio::steady_timer pause(context, kAcceptAgain);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    Serve(Socket(std::move(socket)));
  }
}

void Network::Impl::Serve(Socket socket) {
  if (static_cast<int64_t>(connections.size()) >= limits.connections) {
    // Said without waiting: where it does not go out at once it is not said.
    static constexpr std::string_view kFull =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: "
        "0\r\n\r\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kFull), ignored);
    return;
  }
  error_code ignored;
  if (socket.local_endpoint(ignored).protocol().family() != AF_UNIX) {
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  const auto run = [this](auto connection) {
    asio::co_spawn(context, [connection] { return connection->Run(); }, asio::detached);
  };
  SocketStream stream(std::move(socket));
  if (tls != nullptr) {
    run(std::make_shared<Connection<TlsStream>>(*this, TlsStream(std::move(stream), *tls)));
  } else {
    run(std::make_shared<Connection<SocketStream>>(*this, std::move(stream)));
  }
}

void Network::Run() {
  for (auto& acceptor : impl_->tcp) {
    asio::co_spawn(impl_->context, impl_->Accept(*acceptor), asio::detached);
  }
  for (auto& acceptor : impl_->local) {
    asio::co_spawn(impl_->context, impl_->Accept(*acceptor), asio::detached);
  }
  // Others may have something to say as long as somebody listens.
  const auto work = asio::make_work_guard(impl_->context);
  while (!impl_->context.stopped()) {
    try {
      impl_->context.run();
    } catch (const std::bad_alloc&) {     // what ran out ended with its connection; the others go on
    } catch (const std::length_error&) {  // so does a request with a field that is too long for the parser
    }
  }
}

void Network::Post(std::function<void()> task) { asio::post(impl_->context, std::move(task)); }

void Network::OnSignals(const std::vector<int>& signals, std::function<void(int)> told) {
  impl_->signals = std::make_unique<asio::signal_set>(impl_->context);
  for (const int signal : signals) impl_->signals->add(signal);
  const auto wait = [](Impl* impl, std::function<void(int)> tell) -> asio::awaitable<void> {
    while (true) {
      error_code error;
      const int signal = co_await impl->signals->async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      tell(signal);
    }
  };
  asio::co_spawn(impl_->context, wait(impl_.get(), std::move(told)), asio::detached);
}

void Network::After(std::chrono::milliseconds delay, std::function<void()> task) {
  const auto timer = std::make_shared<asio::steady_timer>(impl_->context, delay);
  timer->async_wait([timer, task = std::move(task)](const error_code& error) {
    if (!error) task();
  });
}

void Network::StopListening() {
  impl_->stopping = true;
  for (auto& acceptor : impl_->tcp) acceptor->close();
  for (auto& acceptor : impl_->local) acceptor->close();
  for (ClientConnection* connection : impl_->connections) connection->Stop();
}

// What exchanges hold is told now, while those that work for it are still there.
void Network::StopNow() {
  for (ClientConnection* connection : impl_->connections) connection->GiveUp();
  impl_->context.stop();
}

int64_t Network::connections() const { return static_cast<int64_t>(impl_->connections.size()); }

}  // namespace linnet
