// Reads a few tokens with the built-in model and says which comes next.
#include <algorithm>
#include <cstdio>
#include <vector>

#include <linnet/engine.h>
#include <linnet/error.h>
#include <linnet/session.h>

namespace {

linnet::Result<long> Next() {
  LINNET_ASSIGN(const auto engine, linnet::Engine::Load({.threads = 2}));
  LINNET_ASSIGN(const auto session, engine->NewSession({.context = 64}));
  const std::vector<int32_t> ids = {2, 301, 302, 303};
  LINNET_TRY(session->Feed(ids));
  const auto logits = session->logits();
  return std::ranges::max_element(logits) - logits.begin();
}

}  // namespace

int main() {
  const auto missing = linnet::Engine::Load({.model = "/nowhere"});
  if (missing || missing.error().code != linnet::ErrorCode::kNotFound) return 2;
  const auto next = Next();
  if (!next) {
    std::fprintf(stderr, "%s\n", next.error().Message().c_str());
    return 1;
  }
  std::printf("%ld\n", *next);
}
