// Takes a request from its body to the end of its answer.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include <memory>

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

// Answers an exchange: its body is read beside the network, then its answers wait, are written together with
// others, and told. Everything stops when the client hangs up. On the network's thread.
void AnswerExchange(const AnswerFloor& floor, const ExchangePtr& exchange, const Translate& translate);

}  // namespace linnet
