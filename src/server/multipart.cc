#include "server/multipart.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "server/http.h"

namespace linnet {
namespace {

constexpr size_t kMostParts = 64, kMostBoundary = 70;

std::unexpected<Error> Damaged(std::string what) {
  return Fail(ErrorCode::kInvalidArgument, "the form is damaged: " + std::move(what),
              "send multipart/form-data as RFC 7578 has it");
}

// The value of `name` among `; name=value; name="value"`, with \" and \\ as themselves.
std::optional<std::string> Parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at < header.size()) {
    at = header.find_first_not_of("; \t", at);
    if (at == std::string_view::npos) break;
    const size_t equals = header.find_first_of("=;", at);
    if (equals == std::string_view::npos || header[equals] == ';') {
      at = equals;
      continue;
    }
    const bool found = LowerCase(header.substr(at, equals - at)) == name;
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size() && (header[at + 1] == '"' || header[at + 1] == '\\'))
          ++at;
        value += header[at];
      }
      at = header.find(';', at);
    } else {
      const size_t end = std::min(header.find(';', at), header.size());
      value = header.substr(at, end - at);
      while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.pop_back();
      at = end;
    }
    if (found) return value;
  }
  return std::nullopt;
}

// The header of a part that says what it is.
std::string_view Disposition(std::string_view headers) {
  constexpr std::string_view kName = "content-disposition:";
  while (!headers.empty()) {
    const size_t end = std::min(headers.find("\r\n"), headers.size());
    const std::string_view line = headers.substr(0, end);
    if (BeginsWithWord(line, kName)) return line;
    headers.remove_prefix(std::min(end + 2, headers.size()));
  }
  return {};
}

}  // namespace

Result<std::vector<FormPart>> ParseForm(std::string_view type, std::string_view body) {
  const auto boundary = Parameter(type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kMostBoundary) {
    return Damaged("its Content-Type names no boundary");
  }
  const std::string mark = "--" + *boundary, next = "\r\n" + mark;
  // What stands before the first mark is for nobody.
  size_t at = body.starts_with(mark) ? 0 : body.find(next);
  if (at == std::string_view::npos) return Damaged("it has no part");
  at = body.find(mark, at) + mark.size();
  std::vector<FormPart> parts;
  while (body.substr(at, 2) != "--") {
    at = body.find("\r\n", at);
    const size_t begin = at == std::string_view::npos ? at : body.find("\r\n\r\n", at);
    if (begin == std::string_view::npos) return Damaged("a part has no end of its headers");
    const size_t end = body.find(next, begin + 2);
    if (end == std::string_view::npos) return Damaged("its last part has no end");
    if (parts.size() == kMostParts) return Damaged("it has more than 64 parts");
    const std::string_view about = Disposition(body.substr(at + 2, begin - at));
    FormPart part;
    const auto name = Parameter(about, "name");
    if (!name) return Damaged("a part has no name");
    part.name = *name;
    part.file_name = Parameter(about, "filename").value_or("");
    if (end >= begin + 4) part.content = body.substr(begin + 4, end - begin - 4);
    parts.push_back(std::move(part));
    at = end + next.size();
  }
  return parts;
}

}  // namespace linnet
