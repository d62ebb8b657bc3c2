#include "linnet/speech.h"

#include <cerrno>
#include <cmath>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "base/write_file.h"
#include "io/json.h"

namespace linnet {
namespace {

std::string ToLine(const Utterance& utterance) {
  const nlohmann::json json = {{"begin", utterance.begin},
                               {"end", utterance.end},
                               {"text", utterance.text},
                               {"translation", utterance.translation},
                               {"cut", utterance.cut}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string HeadLine(const std::string& key) {
  return nlohmann::json({{"linnet_transcript", key}})
             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

bool FromLine(std::string_view line, Utterance& utterance) {
  const auto json = ParseJson(line, "journal");
  if (!json || !json->is_object()) return false;
  const auto number = [&](const char* key, double& value) {
    const auto found = json->find(key);
    if (found == json->end() || !found->is_number()) return false;
    value = found->get<double>();
    return std::isfinite(value);
  };
  const auto text = [&](const char* key, std::string& value) {
    const auto found = json->find(key);
    if (found == json->end() || !found->is_string()) return false;
    value = found->get<std::string>();
    return true;
  };
  const auto cut = json->find("cut");
  utterance.cut = cut != json->end() && cut->is_boolean() && cut->get<bool>();
  return number("begin", utterance.begin) && number("end", utterance.end) && text("text", utterance.text) &&
         text("translation", utterance.translation);
}

// The utterances of a journal with this key; nothing if it is another's.
std::vector<Utterance> ReadDone(const std::filesystem::path& path, const std::string& head) {
  std::vector<Utterance> done;
  const auto file = MappedFile::Open(path);
  if (!file) return done;
  std::string_view rest(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  if (!rest.starts_with(head)) return done;
  rest.remove_prefix(head.size());
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    Utterance utterance;
    if (!FromLine(rest.substr(0, end), utterance)) break;
    done.push_back(std::move(utterance));
  }
  return done;
}

}  // namespace

Result<Journal> Journal::Open(const std::filesystem::path& path, const std::string& key) {
  Journal journal;
  journal.path_ = path;
  const std::string head = HeadLine(key);
  journal.done_ = ReadDone(path, head);
  // Written anew, so that what a killed process left half done does not stay in the middle.
  std::string content = head;
  for (const Utterance& utterance : journal.done_) content += ToLine(utterance);
  const std::filesystem::path fresh = path.string() + ".new";
  journal.file_.reset(std::fopen(fresh.c_str(), "wb"));
  std::error_code error;
  const bool written =
      journal.file_ != nullptr &&
      std::fwrite(content.data(), 1, content.size(), journal.file_.get()) == content.size() &&
      std::fflush(journal.file_.get()) == 0;
  if (written) std::filesystem::rename(fresh, path, error);
  if (!written || error) {
    const int why = error ? error.value() : errno;
    if (journal.file_ != nullptr) std::filesystem::remove(fresh, error);
    return CannotWrite(path, why);
  }
  return journal;
}

Status Journal::Append(const Utterance& utterance) {
  const std::string line = ToLine(utterance);
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0) {
    return CannotWrite(path_, errno);
  }
  return {};
}

void Journal::Remove() {
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace linnet
