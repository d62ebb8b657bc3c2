#include "server/access.h"

#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <span>

#include "runtime/sha256.h"

namespace linnet {
namespace {

std::string HashOf(std::string_view key) {
  return Sha256Hex(std::span(reinterpret_cast<const uint8_t*>(key.data()), key.size()));
}

std::string_view Trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const std::string& one) { return LowerCase(one) == name; });
}

std::string OwnName() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return LowerCase(name.data());
}

}  // namespace

Result<ApiKeys> ApiKeys::Read(const std::string& file, const std::string& from_environment) {
  ApiKeys keys;
  if (!from_environment.empty()) keys.hashes_.push_back(HashOf(from_environment));
  if (file.empty()) return keys;
  std::ifstream in(file);
  if (!in) return Fail(ErrorCode::kNotFound, file + ": it cannot be opened", "give a file with a key a line");
  struct stat facts = {};
  if (stat(file.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & (S_IRWXO | S_IWGRP))) {
    return Fail(ErrorCode::kBadFile, file + ": others may read or write these keys", "chmod 600 " + file);
  }
  const size_t before = keys.hashes_.size();
  for (std::string line; std::getline(in, line);) {
    const std::string_view key = Trimmed(line);
    if (!key.empty() && key[0] != '#') keys.hashes_.push_back(HashOf(key));
  }
  if (keys.hashes_.size() == before) {
    return Fail(ErrorCode::kBadFile, file + ": there is no key in it", "write a key into a line of it");
  }
  return keys;
}

std::string ApiKeys::Owner(std::string_view key) const {
  const std::string hash = HashOf(key);
  if (hashes_.empty()) return hash;
  bool known = false;
  for (const std::string& one : hashes_) {  // all of them, in the same time for any
    known = (CRYPTO_memcmp(one.data(), hash.data(), hash.size()) == 0) || known;
  }
  return known ? hash : std::string();
}

std::string_view KeyOf(const HttpRequest& request) {
  if (const std::string_view value = request.Header("authorization"); !value.empty()) {
    constexpr std::string_view kBearer = "bearer ";
    if (value.size() > kBearer.size() && BeginsWithWord(value, kBearer))
      return Trimmed(value.substr(kBearer.size()));
  }
  for (const char* name : {"x-api-key", "api-key"}) {
    if (const std::string_view value = request.Header(name); !value.empty()) return Trimmed(value);
  }
  // Pages cannot give a WebSocket other headers than this one.
  constexpr std::string_view kOffered = "openai-insecure-api-key.";
  const std::string_view offers = request.Header("sec-websocket-protocol");
  const size_t begin = offers.find(kOffered);
  if (begin == std::string_view::npos) return {};
  const std::string_view key = offers.substr(begin + kOffered.size());
  return Trimmed(key.substr(0, key.find(',')));
}

std::string_view WithoutPort(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.size(), host.find(']') + 1));
  return host.substr(0, host.find(':'));
}

bool IsAddress(std::string_view name) {
  if (name.starts_with('[') && name.ends_with(']')) return name.find(':') != std::string_view::npos;
  return !name.empty() && name.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool IsLoopback(std::string_view name) {
  return name == "localhost" || name == "::1" || name == "[::1]" ||
         (IsAddress(name) && name.starts_with("127."));
}

bool AllowedNames::HostIsAllowed(std::string_view host) const {
  const std::string name = LowerCase(WithoutPort(host));
  return name == "localhost" || IsAddress(name) || Contains(hosts, name) ||
         (!name.empty() && name == OwnName());
}

bool AllowedNames::OriginIsAllowed(std::string_view origin, std::string_view host) const {
  const std::string from = LowerCase(origin), to = LowerCase(host);
  return from == "http://" + to || from == "https://" + to || Contains(origins, from);
}

}  // namespace linnet
