#include "server/response_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/system_error.h"

namespace linnet {
namespace {

constexpr int kVersion = 1, kApplication = 0x4c6e6e74;

std::unexpected<Error> Broken(const std::string& path, const SQLite::Exception& error) {
  const std::string name = path.empty() ? "the store of responses" : path;
  if (error.getErrorCode() == SQLITE_BUSY) {
    return Fail(ErrorCode::kBadFile, name + ": another server uses it", "give each a file of its own");
  }
  return Fail(ErrorCode::kBadFile, fmt::format("{}: {}", name, error.what()),
              "look at the disk, or give another file with --store");
}

std::unexpected<Error> Unknown(const std::string& id) {
  return Fail(ErrorCode::kNotFound, "there is no response '" + id + "'",
              "it may have been deleted, dropped for newer ones, or stored with another key");
}

}  // namespace

struct ResponseStore::Impl {
  Impl(std::string the_path, uint64_t most_bytes)
      : path(std::move(the_path)),
        most(most_bytes),
        database(path.empty() ? ":memory:" : path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {}

  Status Prepare() {
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec("PRAGMA secure_delete = ON");
    const SQLite::Transaction begun(database, SQLite::TransactionBehavior::IMMEDIATE);  // the lock
    const int application = database.execAndGet("PRAGMA application_id").getInt();
    const int version = database.execAndGet("PRAGMA user_version").getInt();
    const bool empty = database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0;
    if (!empty && (application != kApplication || version != kVersion)) {
      return Fail(ErrorCode::kBadFile, path + ": it is a database of something else", "give another file");
    }
    return {};
  }

  void Create() {
    SQLite::Transaction transaction(database);
    database.exec(
        "CREATE TABLE IF NOT EXISTS responses (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL "
        "UNIQUE,"
        " owner TEXT NOT NULL, previous TEXT NOT NULL, input BLOB NOT NULL, response BLOB NOT NULL)");
    database.exec(fmt::format("PRAGMA application_id = {}", kApplication));
    database.exec(fmt::format("PRAGMA user_version = {}", kVersion));
    transaction.commit();
    bytes = static_cast<uint64_t>(
        database.execAndGet("SELECT coalesce(sum(length(input) + length(response)), 0) FROM responses")
            .getInt64());
  }

  void DropOldest() {
    SQLite::Statement oldest(
        database, "SELECT number, length(input) + length(response) FROM responses ORDER BY number LIMIT 1");
    if (!oldest.executeStep()) return;
    SQLite::Statement drop(database, "DELETE FROM responses WHERE number = ?");
    drop.bind(1, oldest.getColumn(0).getInt64());
    const auto size = static_cast<uint64_t>(oldest.getColumn(1).getInt64());
    oldest.reset();
    drop.exec();
    bytes -= std::min(bytes, size);
  }

  // Runs what may throw an error of SQLite's. One at a time.
  template <typename Body>
  auto Guarded(const Body& body) -> decltype(body()) {
    const std::lock_guard lock(mutex);
    const uint64_t before = bytes;
    try {
      return body();
    } catch (const SQLite::Exception& error) {
      bytes = before;
      return Broken(path, error);
    }
  }

  std::string path;
  uint64_t most, bytes = 0;  // of what is stored
  std::mutex mutex;
  SQLite::Database database;
};

ResponseStore::ResponseStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResponseStore::~ResponseStore() = default;

Result<std::unique_ptr<ResponseStore>> ResponseStore::Open(const std::string& path) {
  return Open(path, Limits());
}

Result<std::unique_ptr<ResponseStore>> ResponseStore::Open(const std::string& path, const Limits& limits) {
  if (!path.empty()) {
    // SQLite gives the files beside it the same rights.
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
      return Fail(ErrorCode::kBadFile, path + ": " + std::strerror(errno),
                  AdviceFor(errno, "give another file"));
    }
    close(file);
  }
  try {
    auto impl = std::make_unique<Impl>(path, path.empty() ? limits.in_memory : limits.in_file);
    LINNET_TRY(impl->Prepare());
    impl->Create();
    return std::unique_ptr<ResponseStore>(new ResponseStore(std::move(impl)));
  } catch (const SQLite::Exception& error) {
    return Broken(path, error);
  }
}

Status ResponseStore::Put(const std::string& id, const std::string& owner, const Stored& stored) {
  return impl_->Guarded([&]() -> Status {
    const uint64_t size = stored.input.size() + stored.response.size();
    if (size > impl_->most) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("a response of {} bytes cannot be stored", size),
                  "send store: false");
    }
    SQLite::Transaction transaction(impl_->database);
    while (impl_->bytes + size > impl_->most && impl_->bytes > 0) impl_->DropOldest();
    SQLite::Statement put(
        impl_->database,
        "INSERT INTO responses (id, owner, previous, input, response) VALUES (?, ?, ?, ?, ?)");
    int place = 0;
    for (const std::string* text : {&id, &owner, &stored.previous}) put.bindNoCopy(++place, *text);
    for (const std::string* text : {&stored.input, &stored.response}) {
      put.bindNoCopy(++place, text->data(), static_cast<int>(text->size()));
    }
    put.exec();
    transaction.commit();
    impl_->bytes += size;
    return {};
  });
}

Result<ResponseStore::Stored> ResponseStore::Get(const std::string& id, const std::string& owner) const {
  return impl_->Guarded([&]() -> Result<Stored> {
    SQLite::Statement get(impl_->database,
                          "SELECT previous, input, response FROM responses WHERE id = ? AND owner = ?");
    get.bindNoCopy(1, id);
    get.bindNoCopy(2, owner);
    if (!get.executeStep()) return Unknown(id);
    return Stored{get.getColumn(0).getString(), get.getColumn(1).getString(), get.getColumn(2).getString()};
  });
}

Status ResponseStore::Delete(const std::string& id, const std::string& owner) {
  return impl_->Guarded([&]() -> Status {
    SQLite::Statement find(
        impl_->database,
        "SELECT number, length(input) + length(response) FROM responses WHERE id = ? AND owner = ?");
    find.bindNoCopy(1, id);
    find.bindNoCopy(2, owner);
    if (!find.executeStep()) return Unknown(id);
    const int64_t number = find.getColumn(0).getInt64();
    const auto size = static_cast<uint64_t>(find.getColumn(1).getInt64());
    find.reset();
    SQLite::Statement drop(impl_->database, "DELETE FROM responses WHERE number = ?");
    drop.bind(1, number);
    drop.exec();
    impl_->bytes -= std::min(impl_->bytes, size);
    return {};
  });
}

}  // namespace linnet
