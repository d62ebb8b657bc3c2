#include "cli/text_input.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "base/process.h"
#include "cli/report.h"
#include "media/media_kind.h"
#include "media/media_loader.h"
#include "text/plain_text.h"

namespace linnet {
namespace {

constexpr int kPatienceMilliseconds = 2000;

std::unexpected<Error> Unreadable(const std::string& name, int error) {
  return Fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kBadFile,
              name + " cannot be read: " + std::generic_category().message(error),
              error == ENOENT ? "check the spelling" : "give a text file");
}

Result<std::string> ReadAll(std::FILE* file, const std::string& name, size_t limit) {
  std::string bytes;
  std::array<char, 1 << 16> buffer;
  errno = 0;
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), file)) {
    bytes.append(buffer.data(), count);
    if (bytes.size() > limit) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} holds more than {} of text", name, HumanBytes(limit)), "cut it into parts");
    }
  }
  if (std::ferror(file) != 0) return Unreadable(name, errno);
  return bytes;
}

Result<std::string> AsText(std::string bytes, const std::string& name) {
  const MediaFormat format =
      RecogniseMedia(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (format.name.starts_with("a Git LFS pointer")) {
    return Fail(ErrorCode::kBadFile, fmt::format("{} is {}", name, format.name), "run git lfs pull");
  }
  auto text = PlainText(std::move(bytes), name);
  if (text || format.kind == MediaKind::kUnknown) return text;
  return Fail(ErrorCode::kBadFile, fmt::format("{} is {}, no text", name, format.name), "give a text");
}

// `name` is for messages.
Result<std::string> ReadFileNamed(const std::string& path, const std::string& name, size_t limit) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) return Unreadable(name, errno);
  LINNET_ASSIGN(std::string bytes, ReadAll(file.get(), name, limit));
  return AsText(std::move(bytes), name);
}

}  // namespace

bool IsStandardInput(const std::string& file) {
  return file == "-" || file == "/dev/stdin" || file == "/dev/fd/0" || file == "/proc/self/fd/0";
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

Result<std::string> ReadStandardInput() {
  if (!IsTerminal(Stream::kInput) && !InputWithin(kPatienceMilliseconds)) {
    Say("linnet: waiting for standard input to end; </dev/null gives none\n");
  }
  LINNET_ASSIGN(std::string bytes, ReadAll(stdin, "standard input", kMaxTextBytes));
  return AsText(std::move(bytes), "standard input");
}

Result<std::string> ReadTextFile(const std::string& name, size_t limit) {
  return IsStandardInput(name) ? ReadStandardInput() : ReadFileNamed(name, name, limit);
}

Result<std::string> ReadText(const MediaSource& source) {
  if (!source.file.empty()) return ReadFileNamed(source.file.string(), source.name, kMaxTextBytes);
  return AsText({source.bytes.begin(), source.bytes.end()}, source.name);
}

}  // namespace linnet
