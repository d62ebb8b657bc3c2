#include "quant/resume_log.h"

#include <fmt/format.h>

#include <cstdio>
#include <system_error>

#include "base/write_file.h"

namespace linnet {
namespace {

// Doubles as hexadecimal, which loses nothing.
std::string LineOf(const ResumeLog::Entry& entry) {
  const EncodingLoss& loss = entry.loss;
  return fmt::format("{:x} {:a} {:a} {} {} {:a} {:a}\n", entry.checksum, loss.error, loss.total, loss.blocks,
                     loss.exact, loss.weighted_error, loss.weighted_total);
}

bool ReadLine(const std::string& line, ResumeLog::Entry& entry) {
  EncodingLoss& loss = entry.loss;
  unsigned long long checksum = 0, blocks = 0, exact = 0;
  int end = 0;
  const int found =
      std::sscanf(line.c_str(), "%llx %la %la %llu %llu %la %la%n", &checksum, &loss.error, &loss.total,
                  &blocks, &exact, &loss.weighted_error, &loss.weighted_total, &end);
  entry.checksum = checksum;
  loss.blocks = blocks;
  loss.exact = exact;
  return found == 7 && static_cast<size_t>(end) == line.size();
}

}  // namespace

Result<ResumeLog> ResumeLog::Open(const std::filesystem::path& path, std::string_view made_of) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    LINNET_TRY(WriteWholeFile(path, ""));
  }
  LINNET_ASSIGN(LockedFile file, LockedFile::Open(path, LockedFile::Use::kWrite));
  LINNET_ASSIGN(const MappedFile mapped, file.Map());
  const std::string text(mapped.bytes().begin(), mapped.bytes().end());
  ResumeLog log(std::move(file));
  log.first_line_ = std::string(made_of) + "\n";
  size_t end = log.first_line_.size();
  if (text.starts_with(log.first_line_)) {
    // A last line that is cut was being written when the run was killed.
    for (size_t next; (next = text.find('\n', end)) != text.npos; end = next + 1) {
      Entry entry;
      if (!ReadLine(text.substr(end, next - end), entry)) break;
      log.entries_.push_back(entry);
    }
  }
  LINNET_TRY(log.Keep(log.entries_.size()));
  return log;
}

ResumeLog::~ResumeLog() {
  std::error_code ignored;
  if (!file_.path().empty()) std::filesystem::remove(file_.path(), ignored);
}

Status ResumeLog::Append(const std::string& line) {
  LINNET_TRY(file_.Write(size_, {reinterpret_cast<const uint8_t*>(line.data()), line.size()}));
  size_ += line.size();
  return {};
}

Status ResumeLog::Keep(size_t count) {
  entries_.resize(count);
  size_ = 0;
  LINNET_TRY(file_.Resize(0));
  std::string text = first_line_;
  for (const Entry& entry : entries_) text += LineOf(entry);
  return Append(text);
}

Status ResumeLog::Add(const Entry& entry) {
  entries_.push_back(entry);
  return Append(LineOf(entry));
}

}  // namespace linnet
