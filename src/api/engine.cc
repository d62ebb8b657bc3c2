#include <algorithm>
#include <mutex>

#include "api/handles.h"
#include "base/printable.h"
#include "linnet/version.h"

namespace linnet::api {
namespace {

std::mutex
    log_mutex;  // of the two below; not held while a line is told, since the function may call the library
linnet_log_function log_function = nullptr;
void* log_user = nullptr;

// The most of `text` that fits, not ending within a character.
size_t Fitting(std::string_view text, size_t most) {
  if (text.size() <= most) return text.size();
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return most;
}

}  // namespace

void Log(const std::string& line) {
  const auto [log, user] = [] {
    const std::lock_guard lock(log_mutex);
    return std::pair(log_function, log_user);
  }();
  if (log != nullptr && !line.empty()) log(Printable(line).c_str(), user);  // which may set another
}

linnet_status Report(const Error& error, linnet_error* out) noexcept {
  const auto code = static_cast<linnet_status>(static_cast<int>(error.code) + 1);
  if (out == nullptr) return code;
  out->code = code;
  size_t length = 0;
  const auto add_as_it_is = [&](std::string_view text) {
    const size_t count = Fitting(text, sizeof out->message - 1 - length);
    std::memcpy(out->message + length, text.data(), count);
    length += count;
  };
  // One line of UTF-8, whatever the names in it hold.
  const auto add = [&](std::string_view text) {
    try {
      add_as_it_is(Printable(text));
    } catch (const std::exception&) {  // no memory
      add_as_it_is(text);
    }
  };
  add(error.what);
  if (!error.hint.empty()) {
    add("; ");
    add(error.hint);
  }
  out->message[length] = '\0';
  return code;
}

const MediaLoader& Model::Loader() {
  if (!loader) {
    loader.emplace();
    Log(loader->Weakness());
  }
  return *loader;
}

namespace {

static_assert(static_cast<int>(ErrorCode::kInvalidArgument) + 1 == LINNET_INVALID_ARGUMENT);
static_assert(static_cast<int>(ErrorCode::kInternal) + 1 == LINNET_INTERNAL);

Result<std::shared_ptr<Model>> Load(const linnet_load_options* given) {
  LINNET_ASSIGN(const linnet_load_options options, Given<linnet_load_options>(given, LINNET_LOAD_OPTIONS));
  LoadOptions load;
  load.model = OrEmpty(options.model);
  load.mmproj = OrEmpty(options.mmproj);
  load.drafter = OrEmpty(options.drafter);
  load.use_drafter = options.no_drafter == 0;
  load.threads = options.threads;
  if (options.cache_ram != 0) load.cache_ram = std::max<int64_t>(options.cache_ram, 0);
  LINNET_ASSIGN(auto engine, Engine::Load(load));
  for (const std::string& note : engine->notes()) Log(note);
  return std::make_shared<Model>(std::move(engine));
}

Status Describe(const Engine& engine, linnet_facts* out) {
  const ModelFacts facts = engine.facts();
  linnet_facts known = LINNET_FACTS;
  known.layers = facts.layers;
  known.width = facts.width;
  known.vocabulary = facts.vocabulary;
  known.context = facts.context;
  known.weight_bytes = facts.weight_bytes;
  known.sees = facts.sees;
  known.hears = facts.hears;
  known.watches = facts.watches;
  known.threads = facts.threads;
  LINNET_ASSIGN(const linnet_facts checked, Given<linnet_facts>(out, known));
  known.size = checked.size;
  std::memcpy(out, &known, known.size);
  return {};
}

}  // namespace
}  // namespace linnet::api

using linnet::Status;
using linnet::api::Guarded;
using linnet::api::GuardedValue;
using linnet::api::Wrong;

const char* linnet_version(void) { return linnet::Version().data(); }

void linnet_set_log(linnet_log_function log, void* user) {
  const std::lock_guard lock(linnet::api::log_mutex);
  linnet::api::log_function = log;
  linnet::api::log_user = user;
}

linnet_engine* linnet_engine_load(const linnet_load_options* options, linnet_error* error) {
  return GuardedValue<linnet_engine*>(nullptr, error, [&](linnet_engine*& engine) -> Status {
    LINNET_ASSIGN(auto model, linnet::api::Load(options));
    engine = new linnet_engine{std::move(model)};
    return {};
  });
}

void linnet_engine_free(linnet_engine* engine) { delete engine; }

linnet_status linnet_engine_facts(const linnet_engine* engine, linnet_facts* facts, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    if (engine == nullptr || facts == nullptr) return Wrong("facts of no model");
    return linnet::api::Describe(*engine->model->engine, facts);
  });
}

int64_t linnet_tokenise(const linnet_engine* engine, const char* text, int32_t* ids, int64_t capacity,
                        linnet_error* error) {
  return GuardedValue<int64_t>(-1, error, [&](int64_t& count) -> Status {
    if (engine == nullptr || text == nullptr || capacity < 0 || (ids == nullptr && capacity > 0)) {
      return Wrong("tokens of no text, or to no place");
    }
    const std::vector<int32_t> all = engine->model->engine->Tokenise(text);
    count = static_cast<int64_t>(all.size());
    std::copy_n(all.begin(), std::min(count, capacity), ids);
    return {};
  });
}

int64_t linnet_detokenise(const linnet_engine* engine, const int32_t* ids, int64_t count, linnet_buffer text,
                          linnet_error* error) {
  return GuardedValue<int64_t>(-1, error, [&](int64_t& length) -> Status {
    if (engine == nullptr || count < 0 || (ids == nullptr && count > 0) ||
        (text.data == nullptr && text.capacity > 0)) {
      return Wrong("text of no tokens, or to no place");
    }
    const std::string all = engine->model->engine->Text({ids, static_cast<size_t>(count)});
    length = static_cast<int64_t>(all.size());
    if (text.capacity == 0) return {};
    const size_t fitting = linnet::api::Fitting(all, text.capacity - 1);
    std::memcpy(text.data, all.data(), fitting);
    text.data[fitting] = '\0';
    return {};
  });
}
