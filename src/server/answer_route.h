// Takes a request from its body to the end of its answer.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <utility>

#include "base/memory_guard.h"
#include "server/answer_service.h"
#include "server/network.h"
#include "server/protocol.h"

namespace linnet {

// Where requests are worked on.
struct AnswerFloor {
  Network& network;
  AnswerService& service;
  boost::asio::thread_pool& workers;
  const ServedModel& model;
};

// Has a worker read a request, and goes on with what it found, unless the client has gone; an error of `read`
// is the answer. Afterwards the exchange has the request's method and path alone. On the network's thread,
// where `then` is called too.
template <typename Read, typename Then>
void ReadBeside(const AnswerFloor& floor, const ExchangePtr& exchange, Read read, Then then) {
  const auto request = std::make_shared<const HttpRequest>(std::move(exchange->request()));
  exchange->request() = {.method = request->method, .path = request->path};
  boost::asio::post(floor.workers, [floor, exchange, request, read, then] {
    const auto found = std::make_shared<decltype(read(*request))>(
        WithinMemory("this request", "send less at once", [&] { return read(*request); }));
    floor.network.Post([exchange, found, then] {
      if (!*found) {
        exchange->Note("error", found->error().what);
        exchange->Answer(ErrorAnswer(exchange->request().path, found->error()));
      } else if (!exchange->closed()) {
        then(std::move(**found));
      }
    });
  });
}

// The answer where AnswerService::Submit() takes nothing more.
void RefuseToWait(HttpExchange& exchange);

// Answers an exchange: its body is read beside the network, then its answers wait, are written together with
// others, and told. Everything stops when the client hangs up. On the network's thread.
void AnswerExchange(const AnswerFloor& floor, const ExchangePtr& exchange, const Translate& translate);

}  // namespace linnet
