#include "cli/text_input.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/plain_text.h"
#include "base/process.h"
#include "base/stream_reader.h"
#include "cli/report.h"

namespace linnet {
namespace {

constexpr int kPatienceMilliseconds = 2000;

Result<std::string> ReadAll(StreamReader from, const std::string& name, size_t limit) {
  std::string bytes;
  std::vector<uint8_t> piece(size_t{1} << 16);
  while (true) {
    LINNET_ASSIGN(const size_t count, from.Read(piece));
    if (count == 0) return bytes;
    bytes.append(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
    if (bytes.size() > limit) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} holds more than {} of text", name, HumanBytes(limit)), "cut it into parts");
    }
  }
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
  LINNET_ASSIGN(StreamReader file, StreamReader::Open(path, name));
  LINNET_ASSIGN(std::string bytes, ReadAll(std::move(file), name, limit));
  return AsText(std::move(bytes), name);
}

}  // namespace

bool IsStandardInput(const std::string& file) {
  return file == "-" || file == "/dev/stdin" || file == "/dev/fd/0" || file == "/proc/self/fd/0";
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

Result<std::string> ReadStandardInput() {
  const std::string name = "standard input";
  if (!IsTerminal(Stream::kInput) && !InputWithin(kPatienceMilliseconds)) {
    Say("linnet: waiting for standard input to end; </dev/null gives none\n");
  }
  LINNET_ASSIGN(std::string bytes, ReadAll(StreamReader::StandardInput(name), name, kMaxTextBytes));
  return AsText(std::move(bytes), name);
}

Result<std::string> ReadTextFile(const std::string& name, size_t limit) {
  return IsStandardInput(name) ? ReadStandardInput() : ReadFileNamed(name, name, limit);
}

Result<std::string> ReadText(const MediaSource& source) {
  if (!source.file.empty()) return ReadFileNamed(source.file.string(), source.name, kMaxTextBytes);
  return AsText({source.bytes.begin(), source.bytes.end()}, source.name);
}

}  // namespace linnet
