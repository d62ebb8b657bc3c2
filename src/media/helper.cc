#include "media/helper.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "media/wire.h"

namespace linnet::media_internal {

std::unexpected<Error> DamagedAnswer() {
  return Fail(ErrorCode::kBadFile, "the decoder gave a damaged answer", "convert the file");
}

Result<ChildProcess> StartWith(const std::filesystem::path& program,
                               const std::vector<std::string>& arguments, const MediaSource& source) {
  return source.file.empty() ? ChildProcess::Start(program, arguments, source.bytes)
                             : ChildProcess::Start(program, arguments, source.file);
}

Result<Helper> Helper::Start(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                             const MediaSource& source, double patience) {
  LINNET_ASSIGN(ChildProcess child, StartWith(program, arguments, source));
  return Helper(std::move(child), patience);
}

Result<Message> Helper::Next(uint64_t limit) {
  uint8_t head[kMessageHead];
  LINNET_ASSIGN(const size_t there, child_.Read(head, patience_));
  if (there < sizeof(head)) return Died();
  Message message;
  message.kind = static_cast<char>(head[0]);
  const uint64_t length = MessageReader(std::span(head).subspan(1)).U64();
  if (length > (message.kind == 'E' ? kMaxSmallMessage : limit)) return DamagedAnswer();
  message.payload.resize(length);
  LINNET_ASSIGN(const size_t filled, child_.Read(message.payload, patience_));
  if (filled < length) return Died();
  if (message.kind != 'E') return message;
  MessageReader reader(message.payload);
  const auto code =
      static_cast<ErrorCode>(std::min<uint64_t>(reader.U64(), static_cast<uint64_t>(ErrorCode::kInternal)));
  std::string what = reader.Text();
  if (what.starts_with(": ")) what.erase(0, 2);  // the helper knows no name to put in front
  return Fail(code, std::move(what), reader.Text());
}

Result<Message> Helper::Expect(char kind, uint64_t limit) {
  LINNET_ASSIGN(Message message, Next(limit));
  if (message.kind != kind) return DamagedAnswer();
  return message;
}

Result<int> Helper::Greeting() {
  LINNET_ASSIGN(const Message hello, Expect('H', 8));
  return static_cast<int>(MessageReader(hello.payload).U64() & kAllGranted);
}

std::unexpected<Error> Helper::Died() {
  const std::string how = child_.Wait();
  return Fail(ErrorCode::kBadFile, fmt::format("the decoder {}", how.empty() ? "ended in the middle" : how),
              "the file is damaged or made to do harm");
}

std::vector<float> ToSamples(const Message& message) {
  std::vector<float> samples(message.payload.size() / sizeof(float));
  if (!samples.empty()) std::memcpy(samples.data(), message.payload.data(), samples.size() * sizeof(float));
  for (float& sample : samples) sample = IsUsableSample(sample) ? sample : 0.0f;
  return samples;
}

Result<std::unique_ptr<HelperSound>> HelperSound::Open(Helper helper) {
  LINNET_ASSIGN(const Message head, helper.Expect('I', kMaxSmallMessage));
  std::unique_ptr<HelperSound> sound(new HelperSound(std::move(helper)));
  MessageReader reader(head.payload);
  AudioInfo& info = sound->info_;
  info.format = reader.Text();
  info.rate = reader.I64();
  info.channels = reader.I64();
  info.frames = reader.I64();
  info.seconds = reader.F64();
  info.note = reader.Text();
  if (reader.bad() || info.rate < 1 || info.channels < 1 || info.frames < -1 ||
      info.frames > int64_t{1} << 48 || !(info.seconds >= 0 && info.seconds < 1e12)) {
    return DamagedAnswer();
  }
  sound->rate_ = info.rate;
  return sound;
}

Status HelperSound::Refill() {
  if (on_wait_) on_wait_(helper_.process());
  LINNET_ASSIGN(const Message message, helper_.Next(kMaxSmallMessage));
  if (message.kind == 'S') {
    samples_.ready = ToSamples(message);
    return {};
  }
  MessageReader reader(message.payload);
  if (message.kind == 'R') {
    rate_ = reader.I64();  // looked at by the resampler
    return {};
  }
  if (message.kind != 'N') return DamagedAnswer();
  info_.note = reader.Text();
  replaced_ = reader.I64();
  samples_.ended = true;
  return {};
}

std::filesystem::path FindProgram(const std::string& name, const char* variable) {
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') return named;
  std::error_code ignored;
  for (const std::filesystem::path& directory : {ProgramDirectory(), LibraryDirectory()}) {
    if (directory.empty()) continue;
    // A library may lie one directory deeper: lib/x86_64-linux-gnu.
    for (const char* from_there : {"", "../libexec/linnet", "../../libexec/linnet"}) {
      const std::filesystem::path candidate = directory / from_there / name;
      if (std::filesystem::exists(candidate, ignored)) return candidate;
    }
  }
  const std::filesystem::path installed = std::filesystem::path(LINNET_HELPER_DIRECTORY) / name;
  return std::filesystem::exists(installed, ignored) ? installed : std::filesystem::path();
}

}  // namespace linnet::media_internal
