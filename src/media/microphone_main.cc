// linnet-microphone: records from a device through libavdevice and writes the samples as messages (wire.h).
// It is started by OpenMicrophone and of no use to a person.
//
//   linnet-microphone DEVICE SECONDS
//
// A program of its own, because libavdevice brings some eighty libraries along, which print on standard error
// as they like. It has all rights of the user: devices need them, and what comes from one are plain samples,
// no file of a stranger's. A thread records all the time into a queue, so that nothing is lost while the
// reader is busy. SIGINT ends the recording; what was said before is still sent.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

extern "C" {
#include <libavdevice/avdevice.h>
#include <libavutil/avstring.h>
}

#include "media/av_input.h"
#include "media/av_mixer.h"
#include "media/note.h"
#include "media/wire_output.h"

namespace linnet {
namespace {

using media_internal::AvInput;

constexpr double kMostWaitingSeconds = 600;
// Made sound comes faster than it could be spoken, and is not lost when it has to wait.
constexpr std::string_view kMadeSound = "lavfi";

std::atomic<bool> stopped{false};

struct Device {
  std::string kind, name;
};

// What systems call the microphone that is chosen in their settings; the kinds of other systems are not
// known.
const Device kUsual[] = {{"pulse", "default"}, {"alsa", "default"}, {"avfoundation", ":default"}};

std::string KnownKinds() {
  std::string kinds;
  const AVInputFormat* format = nullptr;
  while ((format = av_input_audio_device_next(format)) != nullptr) {
    const std::string_view names = format->name;
    kinds += (kinds.empty() ? "" : ", ") + std::string(names.substr(0, names.find(',')));
  }
  return kinds;
}

const AVInputFormat* FormatOf(const std::string& kind) {
  const AVInputFormat* format = nullptr;
  while ((format = av_input_audio_device_next(format)) != nullptr) {
    if (av_match_name(kind.c_str(), format->name) != 0) return format;
  }
  return nullptr;
}

Result<std::unique_ptr<AvInput>> Open(const Device& device) {
  const AVInputFormat* format = FormatOf(device.kind);
  if (format == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is no kind of microphone", device.kind),
                fmt::format("name one as KIND:NAME, where KIND is one of {}", KnownKinds()));
  }
  LINNET_ASSIGN(auto input, AvInput::OpenDevice(format, device.name, [] { return stopped.load(); }));
  const AVCodecParameters& sound = *input->stream()->codecpar;
  if (sound.sample_rate < 1 || sound.ch_layout.nb_channels < 1) {
    return Fail(ErrorCode::kNotFound, fmt::format("{}:{} does not tell its rate", device.kind, device.name));
  }
  return input;
}

Result<std::unique_ptr<AvInput>> OpenUsual() {
  std::string tried;
  for (const Device& device : kUsual) {
    if (FormatOf(device.kind) == nullptr) continue;
    auto input = Open(device);
    if (input) return input;
    tried += (tried.empty() ? "" : "; ") + input.error().what;
  }
  return Fail(ErrorCode::kNotFound, fmt::format("no microphone can be opened ({})", tried),
              fmt::format("connect one, or name it as KIND:NAME, where KIND is one of {}", KnownKinds()));
}

// What is recorded and not yet sent.
class Queue {
 public:
  Queue(size_t most, bool patient) : most_(most), patient_(patient) {}

  // False when there is no room; a patient one waits for it.
  bool Put(const std::vector<float>& piece) {
    std::unique_lock lock(mutex_);
    if (patient_) changed_.wait(lock, [this] { return waiting_.size() < most_; });
    if (waiting_.size() >= most_) return false;
    waiting_.insert(waiting_.end(), piece.begin(), piece.end());
    lock.unlock();
    changed_.notify_all();
    return true;
  }
  void End() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }
  // All that is there; false when nothing comes any more.
  bool Take(std::vector<float>& out) {
    out.clear();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    out.swap(waiting_);
    lock.unlock();
    changed_.notify_all();
    return !out.empty();
  }

 private:
  size_t most_;
  bool patient_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<float> waiting_;
  bool ended_ = false;
};

// Records until the end; what a person should know about it, usually nothing.
std::string Record(AvInput& input, media_internal::AvMixer& mixer, double seconds, Queue& queue) {
  const double rate = input.stream()->codecpar->sample_rate;
  const int64_t most = seconds > 0 ? static_cast<int64_t>(seconds * rate) : -1;
  std::vector<float> piece;
  bool more = true;
  std::string note;
  for (int64_t done = 0; more && (most < 0 || done < most); done += static_cast<int64_t>(piece.size())) {
    piece.clear();
    const auto frame = input.Next();
    if (!frame || *frame == nullptr) {
      more = false;
      if (!stopped) note = mixer.rate() == 0 ? "the device gives no sound" : "the device has ended";
    } else if (mixer.rate() > 0 && !mixer.Fits(**frame)) {
      more = false;
      note = "the recording ends here: the device changed its rate or channels";
    } else if (const Status mixed = mixer.Mix(**frame, piece); !mixed) {
      more = false;
      note = "the recording ends here: " + mixed.error().what;
    }
    if (!more) mixer.Finish(piece);
    if (most >= 0) piece.resize(std::min(piece.size(), static_cast<size_t>(most - done)));
    if (!queue.Put(piece))
      return "the recording ends here: ten minutes wait to be heard; take a faster model";
  }
  if (mixer.cancelled()) AddNote(note, media_internal::kCancelNote);
  return note;
}

Status Run(const std::string& name, double seconds) {
  avdevice_register_all();
  const size_t colon = std::min(name.find(':'), name.size());
  const Device device = {name.substr(0, colon), name.substr(std::min(colon + 1, name.size()))};
  LINNET_ASSIGN(const std::unique_ptr<AvInput> input, name.empty() ? OpenUsual() : Open(device));
  const AVCodecParameters& sound = *input->stream()->codecpar;
  AudioInfo info;
  info.format = "microphone";
  info.rate = sound.sample_rate;
  info.channels = sound.ch_layout.nb_channels;
  media_internal::SendSoundHead(info);
  Queue queue(static_cast<size_t>(kMostWaitingSeconds * static_cast<double>(info.rate)),
              device.kind == kMadeSound);
  media_internal::AvMixer mixer;
  std::string note;
  std::thread recorder([&] {
    note = Record(*input, mixer, seconds, queue);
    queue.End();
  });
  std::vector<float> samples;
  while (queue.Take(samples)) media_internal::SendSamples(samples);
  recorder.join();
  media_internal::MessageWriter end('N');
  media_internal::Send(end.Text(note).I64(mixer.replaced()));
  return {};
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("linnet-microphone records for linnet; it is not for use by hand\n", stderr);
    return 2;
  }
  std::signal(SIGINT, [](int) { linnet::stopped = true; });
  if (const linnet::Status status = linnet::Run(argv[1], std::atof(argv[2])); !status) {
    linnet::media_internal::SendError(status.error());
  }
  std::fflush(stdout);
  // Sound systems leave threads behind that must not see the end of their libraries.
  std::_Exit(0);
}
