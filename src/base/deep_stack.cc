#include "base/deep_stack.h"

#include <pthread.h>

namespace linnet {

bool RunOnDeepStack(size_t bytes, const std::function<void()>& work) {
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  pthread_t thread;
  std::function<void()> held = work;
  const bool started = ::pthread_attr_setstacksize(&attributes, bytes) == 0 &&
                       ::pthread_create(&thread, &attributes, run, &held) == 0;
  ::pthread_attr_destroy(&attributes);
  return started && ::pthread_join(thread, nullptr) == 0;
}

}  // namespace linnet
