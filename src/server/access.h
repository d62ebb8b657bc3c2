// Who may use the server: keys, names it is called by, pages that may call it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "server/http.h"

namespace linnet {

// The keys of clients, kept as hashes.
class ApiKeys {
 public:
  // Of LINNET_API_KEY and of a file with a key a line; blank lines and those that begin with # do not count.
  // Both may be empty. Errors: kNotFound, kBadFile (a file without a key, or that others may read or write).
  static Result<ApiKeys> Read(const std::string& file, const std::string& from_environment);

  bool any() const { return !hashes_.empty(); }
  // What stands for the client who sent this key: where keys are set one of them, else whatever was sent.
  // Empty: it may not come in.
  std::string Owner(std::string_view key) const;

 private:
  std::vector<std::string> hashes_;
};

// The key that a request brings, in the ways of all protocols: `Authorization: Bearer KEY`, `x-api-key`,
// `api-key`; empty where there is none.
std::string_view KeyOf(const HttpRequest& request);

// What a server is called by and which pages may call it, so that no page of a stranger reaches it through a
// browser (DNS rebinding, cross-origin requests).
struct AllowedNames {
  std::vector<std::string> hosts;    // beside addresses, `localhost` and the machine's own name
  std::vector<std::string> origins;  // "https://chat.example"; a server's own page always may

  bool HostIsAllowed(std::string_view host) const;
  bool OriginIsAllowed(std::string_view origin, std::string_view host) const;
};

// "name" of "name:8080"; the brackets of an address stay.
std::string_view WithoutPort(std::string_view host);
bool IsAddress(std::string_view name);   // 192.0.2.1, [2001:db8::1]
bool IsLoopback(std::string_view name);  // 127.x.x.x, ::1, localhost

}  // namespace linnet
