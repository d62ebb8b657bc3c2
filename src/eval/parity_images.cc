// Pictures and video frames of a golden directory: sizes, decoded formats, resized pixels, rows, positions.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "eval/case_recorder.h"
#include "eval/parity.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "media/patches.h"
#include "media/picture.h"
#include "media/resize.h"
#include "media/video.h"
#include "runtime/sha256.h"

namespace linnet {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

struct Place {
  Path directory;  // preprocessing/
  const ParityOptions& options;
  const CaseSink& sink;
};

template <typename T>
int64_t CountDiffering(const std::vector<T>& a, const std::vector<T>& b) {
  int64_t differing = std::abs(static_cast<int64_t>(a.size()) - static_cast<int64_t>(b.size()));
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) differing += a[i] != b[i];
  return differing;
}

void CompareHash(CaseRecorder& recorder, const std::string& probe, const std::string& ours,
                 const json& wanted) {
  recorder.Exact(probe, ours == wanted.get<std::string>() ? 0 : 1, "sha256 " + ours.substr(0, 12) + "…");
}

// --- target_sizes.jsonl

Status RunTargetSizes(const Place& place) {
  const std::string name = "preprocessing/target_sizes";
  if (!Wanted(place.options, name)) return {};
  CaseRecorder recorder(name);
  LINNET_TRY(ForEachRow(place.directory / "target_sizes.jsonl", [&](const json& row) -> Status {
    const int64_t height = row.at("height"), width = row.at("width");
    for (const int64_t budget : kImageBudgets) {
      const auto key = std::to_string(budget);
      if (!row.contains(key)) continue;
      const auto target = TargetSize(height, width, budget);
      const bool equal = target && target->height == row.at(key).at(0) && target->width == row.at(key).at(1);
      recorder.Exact(fmt::format("{}x{}-{}", height, width, budget), equal ? 0 : 1);
    }
    return {};
  }));
  if (CaseResult result = recorder.Finish(); !result.probes.empty()) place.sink(result);
  return {};
}

// --- image_behaviour.json: budgets that are refused, the size rule applied to its own result

Status CompareBehaviour(const json& file, CaseRecorder& recorder) {
  for (const auto& input : file.at("inputs")) {
    if (!input.contains("max_soft_tokens")) continue;  // the rest is about Python arrays
    const int64_t budget = input.at("max_soft_tokens");
    recorder.Exact(fmt::format("budget {}", budget), TargetSize(224, 224, budget) ? 1 : 0);
  }
  for (const auto& chain : file.at("second_call_sizes_280")) {
    for (size_t i = 1; i < chain.size(); ++i) {
      const int64_t height = chain.at(i - 1).at(0), width = chain.at(i - 1).at(1);
      const auto target = TargetSize(height, width, 280);
      const bool equal = target && target->height == chain.at(i).at(0) && target->width == chain.at(i).at(1);
      recorder.Exact(fmt::format("{}x{} again", height, width), equal ? 0 : 1);
    }
  }
  return {};
}

Status RunBehaviour(const Place& place) {
  const std::string name = "preprocessing/image_behaviour";
  const Path path = place.directory / "image_behaviour.json";
  std::error_code ignored;
  if (!Wanted(place.options, name) || !std::filesystem::exists(path, ignored)) return {};
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  LINNET_ASSIGN(const json content, ParseJson(file.bytes(), path.string()));
  CaseRecorder recorder(name);
  try {
    LINNET_TRY(CompareBehaviour(content, recorder));
  } catch (const json::exception& error) {
    return Fail(ErrorCode::kBadFile, fmt::format("{}: {}", path.string(), error.what()));
  }
  place.sink(recorder.Finish());
  return {};
}

// --- images.jsonl

class PixelRows {
 public:
  explicit PixelRows(const Path& path) : path_(path) {}

  // Items of the golden row that differ from ours.
  Result<int64_t> Differing(const std::string& name, std::span<const float> ours) {
    if (file_ == nullptr) {
      LINNET_ASSIGN(file_, Safetensors::Open(path_));
    }
    const TensorInfo* tensor = file_->Find(name);
    if (tensor == nullptr || tensor->dtype != Dtype::kF32) {
      return Fail(ErrorCode::kBadFile, fmt::format("{}: no float32 tensor \"{}\"", path_.string(), name));
    }
    if (tensor->bytes != ours.size_bytes()) return static_cast<int64_t>(ours.size());
    std::vector<uint8_t> scratch;
    const auto bytes = file_->Bytes(*tensor, 0, tensor->bytes, scratch);
    int64_t differing = 0;
    for (size_t i = 0; i < ours.size(); ++i) differing += std::memcmp(&bytes[4 * i], &ours[i], 4) != 0;
    return differing;
  }

 private:
  Path path_;
  std::unique_ptr<Safetensors> file_;
};

std::vector<float> ValuesOf(const PatchRows& rows, PixelScale scale) {
  std::vector<float> values(rows.pixels.size());
  ScalePixels(rows.pixels, scale, values);
  return values;
}

Status CompareRows(const json& row, const PatchRows& rows, const std::string& at, PixelRows& stored,
                   CaseRecorder& recorder) {
  const std::vector<float> patches = ValuesOf(rows, PixelScale::kProduct);
  if (row.contains("pixel_values_sha256")) {
    CompareHash(recorder, at + "pixel_values", Sha256Hex(std::span(patches)), row.at("pixel_values_sha256"));
  }
  const std::vector<int64_t> positions(rows.positions.begin(), rows.positions.end());
  if (row.contains("image_position_ids_sha256")) {
    CompareHash(recorder, at + "positions", Sha256Hex(std::span(positions)),
                row.at("image_position_ids_sha256"));
  }
  if (row.contains("image_position_ids") && !row.at("image_position_ids").is_null()) {
    std::vector<int64_t> wanted;
    for (const auto& pair : row.at("image_position_ids"))
      wanted.insert(wanted.end(), {pair.at(0), pair.at(1)});
    recorder.Exact(at + "position list", CountDiffering(positions, wanted));
  }
  const int64_t width = rows.rows == 0 ? 0 : static_cast<int64_t>(patches.size()) / rows.rows;
  for (const auto& probe : row.value("pixel_probe", json::array())) {
    const int64_t r = probe.at(0), c = probe.at(1);
    const bool inside = r >= 0 && c >= 0 && r < rows.rows && c < width;
    const bool equal = inside && patches[static_cast<size_t>(r * width + c)] == probe.at(2).get<float>();
    recorder.Exact(fmt::format("{}pixel {},{}", at, r, c), equal ? 0 : 1);
  }
  const json named_rows = row.value("pixel_rows", json::object());
  for (const auto& [number, tensor] : named_rows.items()) {
    const int64_t r = std::atoll(number.c_str());
    if (r < 0 || r >= rows.rows) {
      recorder.Exact(at + "row " + number, 1, "there is no such row");
      continue;
    }
    const std::span<const float> ours(&patches[static_cast<size_t>(r * width)], static_cast<size_t>(width));
    LINNET_ASSIGN(const int64_t differing, stored.Differing(tensor, ours));
    recorder.Exact(at + "row " + number, differing);
  }
  return {};
}

Status CompareImage(const Place& place, const json& row, PixelRows& stored, CaseRecorder& recorder) {
  const int64_t budget = row.at("budget");
  const std::string at = fmt::format("{} ", budget);
  LINNET_ASSIGN(const Picture picture,
                LoadPicture(place.directory / "images" / row.at("input").get<std::string>()));
  LINNET_ASSIGN(const ImageTarget target, TargetSize(picture.height, picture.width, budget));
  const bool size = target.height == row.at("target").at(0) && target.width == row.at("target").at(1) &&
                    target.soft_tokens == row.at("soft_tokens");
  recorder.Exact(at + "target", size ? 0 : 1, fmt::format("{} x {}", target.height, target.width));
  const Picture resized = Resize(picture, target.height, target.width);
  if (!row.at("resized").is_null()) {
    LINNET_ASSIGN(const Picture wanted, LoadPicture(place.directory / row.at("resized").get<std::string>()));
    recorder.Exact(at + "resized", CountDiffering(resized.rgb, wanted.rgb));
  }
  CompareHash(recorder, at + "resized sha256", Sha256Hex(std::span(resized.rgb)), row.at("resized_sha256"));
  return CompareRows(row, CutPatches(resized), at, stored, recorder);
}

// One case for each input picture; its budgets are probes.
Status RunPictures(const Place& place) {
  PixelRows stored(place.directory / "pixel_rows.safetensors");
  std::vector<std::string> order;
  std::map<std::string, std::vector<json>> rows;
  LINNET_TRY(ForEachRow(place.directory / "images.jsonl", [&](const json& row) -> Status {
    const std::string input = row.at("input");
    if (rows[input].empty()) order.push_back(input);
    rows[input].push_back(row);
    return {};
  }));
  for (const std::string& input : order) {
    CaseRecorder recorder("preprocessing/images/" + input);
    if (!Wanted(place.options, "preprocessing/images/" + input)) continue;
    try {
      for (const json& row : rows[input]) LINNET_TRY(CompareImage(place, row, stored, recorder));
    } catch (const json::exception& error) {
      return Fail(ErrorCode::kBadFile, fmt::format("images.jsonl, {}: {}", input, error.what()));
    }
    place.sink(recorder.Finish());
  }
  return {};
}

// --- formats.jsonl

void CompareDecoded(const Path& file, const json& wanted, const std::string& way, bool exif,
                    CaseRecorder& recorder) {
  const auto picture = LoadPicture(file, {.apply_orientation = exif});
  if (!picture) {
    recorder.Exact(way, 1, picture.error().Message());
    return;
  }
  const bool size =
      picture->height == wanted.at("size_hw").at(0) && picture->width == wanted.at("size_hw").at(1);
  recorder.Exact(way + " size", size ? 0 : 1, fmt::format("{} x {}", picture->height, picture->width));
  CompareHash(recorder, way + " pixels", Sha256Hex(std::span(picture->rgb)), wanted.at("sha256"));
}

// The reference clips 16-bit grey at 255. Linnet keeps the high byte; that much of it can be checked against
// the clipped picture: wherever ours is not black, the reference must be white.
Status CompareClippedGrey(const Place& place, const json& row, CaseRecorder& recorder) {
  const std::string file = row.at("file");
  LINNET_ASSIGN(const Picture ours, LoadPicture(place.directory / "formats" / file));
  LINNET_ASSIGN(const Picture clipped, LoadPicture(place.directory / row.at("rgb").get<std::string>()));
  int64_t wrong = std::abs(static_cast<int64_t>(ours.rgb.size()) - static_cast<int64_t>(clipped.rgb.size()));
  for (size_t i = 0; i < std::min(ours.rgb.size(), clipped.rgb.size()); ++i)
    wrong += ours.rgb[i] > 0 && clipped.rgb[i] < 255;
  recorder.Exact("high byte", wrong);
  recorder.Note("deliberately different: 16-bit grey keeps its high byte, the reference clips it to white");
  return {};
}

Status CompareFormat(const Place& place, const json& row, CaseRecorder& recorder) {
  const std::string file = row.at("file");
  const Path path = place.directory / "formats" / file;
  const json& load = row.at("load_image");
  if (load.contains("error")) {
    const auto picture = LoadPicture(path);
    recorder.Exact("refused", picture ? 1 : 0);
    if (!picture)
      recorder.Note("refused as in the reference: " +
                    picture.error().Message().substr(path.string().size() + 2));
    return {};
  }
  if (row.at("pillow_mode").get<std::string>().starts_with("I;16"))
    return CompareClippedGrey(place, row, recorder);
  CompareDecoded(path, load, "load_image", true, recorder);
  const json& object = row.at("pil_object");
  if (object.contains("sha256")) CompareDecoded(path, object, "pil_object", false, recorder);
  const json& string = row.at("path_string");
  if (string.contains("sha256")) {
    CompareDecoded(path, string, "path_string", false, recorder);
  } else {
    recorder.Note(string.contains("error") ? "the reference cannot read it from a path"
                                           : "from a path the reference keeps 16-bit values: not compared");
  }
  return {};
}

Status RunFormats(const Place& place) {
  return ForEachRow(place.directory / "formats.jsonl", [&](const json& row) -> Status {
    const std::string name = "preprocessing/formats/" + row.at("file").get<std::string>();
    if (!Wanted(place.options, name)) return {};
    CaseRecorder recorder(name);
    LINNET_TRY(CompareFormat(place, row, recorder));
    place.sink(recorder.Finish());
    return {};
  });
}

// --- video_sampling.jsonl, video.jsonl

void CompareIndices(const Result<std::vector<int64_t>>& ours, const json& wanted, int64_t total,
                    const std::string& probe, CaseRecorder& recorder) {
  if (!wanted.is_array()) {
    recorder.Exact(probe, ours ? 1 : 0, "the reference refuses");
    return;
  }
  auto indices = wanted.get<std::vector<int64_t>>();
  if (!indices.empty() && indices.back() == total)
    indices.pop_back();  // one past the end: the reference fails on it
  recorder.Exact(probe, ours ? CountDiffering(*ours, indices) : static_cast<int64_t>(indices.size()));
}

Status RunSampling(const Place& place) {
  const std::string name = "preprocessing/video_sampling";
  if (!Wanted(place.options, name)) return {};
  CaseRecorder recorder(name);
  LINNET_TRY(ForEachRow(place.directory / "video_sampling.jsonl", [&](const json& row) -> Status {
    const int64_t total = row.at("total");
    if (row.contains("fps")) {
      const json& fps = row.at("video_fps");
      CompareIndices(SampleFramesAtRate(total, fps.is_null() ? 0.0 : fps.get<double>(), row.at("fps")),
                     row.at("processor_built_with_num_frames_none"), total,
                     fmt::format("{} frames at {} fps", total, row.at("fps").dump()), recorder);
      return {};
    }
    const int64_t num_frames = row.at("num_frames");
    const bool past_end = row.contains("error") && num_frames >= 1 && num_frames <= total;
    if (past_end)
      return {};  // the reference's index error behind the last frame; Linnet leaves that index out
    CompareIndices(SampleFrames(total, num_frames), row.contains("indices") ? row.at("indices") : json(),
                   total, fmt::format("{} of {}", num_frames, total), recorder);
    return {};
  }));
  if (CaseResult result = recorder.Finish(); !result.probes.empty()) place.sink(result);
  return {};
}

// Frames are stored below each other in one picture.
Result<Picture> CutFrame(const Picture& stacked, int64_t index, int64_t height, int64_t width) {
  if (stacked.width != width || height < 1 || index < 0 || (index + 1) * height > stacked.height) {
    return Fail(ErrorCode::kBadFile, fmt::format("frame {} of {} x {} is not in the stack of {} x {}", index,
                                                 height, width, stacked.height, stacked.width));
  }
  Picture frame;
  frame.height = height;
  frame.width = width;
  const auto from = stacked.rgb.begin() + static_cast<ptrdiff_t>(3 * width * height * index);
  frame.rgb.assign(from, from + static_cast<ptrdiff_t>(3 * width * height));
  return frame;
}

Status CompareVideo(const Place& place, const json& row, CaseRecorder& recorder) {
  const int64_t height = row.at("height"), width = row.at("width"), total = row.at("frames");
  const auto indices = SampleFrames(total, row.at("num_frames"));
  CompareIndices(indices, row.at("indices"), total, "indices", recorder);
  if (!indices) return {};
  LINNET_ASSIGN(const Picture stacked, LoadPicture(place.directory / row.at("input").get<std::string>()));
  LINNET_ASSIGN(const ImageTarget target, TargetSize(height, width, kVideoFrameBudget));
  const bool size = target.height == row.at("target").at(0) && target.width == row.at("target").at(1) &&
                    target.soft_tokens == row.at("soft_tokens_per_frame");
  recorder.Exact("target", size ? 0 : 1);
  std::vector<uint8_t> resized;
  std::vector<float> values;
  for (const int64_t index : *indices) {
    LINNET_ASSIGN(const Picture frame, CutFrame(stacked, index, height, width));
    const Picture small = Resize(frame, target.height, target.width);
    resized.insert(resized.end(), small.rgb.begin(), small.rgb.end());
    const std::vector<float> patches = ValuesOf(CutPatches(small), PixelScale::kDivision);
    values.insert(values.end(), patches.begin(), patches.end());
  }
  CompareHash(recorder, "resized", Sha256Hex(std::span(std::as_const(resized))), row.at("resized_sha256"));
  CompareHash(recorder, "pixel_values", Sha256Hex(std::span(std::as_const(values))),
              row.at("pixel_values_sha256"));
  if (row.at("resized").is_string()) {
    LINNET_ASSIGN(const Picture wanted, LoadPicture(place.directory / row.at("resized").get<std::string>()));
    recorder.Exact("resized picture", CountDiffering(resized, wanted.rgb));
  }
  return {};
}

Status RunVideos(const Place& place) {
  std::set<std::string> done;  // the two memory layouts of the reference are one case here
  return ForEachRow(place.directory / "video.jsonl", [&](const json& row) -> Status {
    const std::string name = "preprocessing/" + row.at("input").get<std::string>();
    if (!Wanted(place.options, name) || !done.insert(name).second) return {};
    CaseRecorder recorder(name);
    LINNET_TRY(CompareVideo(place, row, recorder));
    place.sink(recorder.Finish());
    return {};
  });
}

}  // namespace

Status RunImageCases(const Path& root, const ParityOptions& options, const CaseSink& sink) {
  const Place place{root / "preprocessing", options, sink};
  LINNET_TRY(RunTargetSizes(place));
  LINNET_TRY(RunBehaviour(place));
  LINNET_TRY(RunPictures(place));
  LINNET_TRY(RunFormats(place));
  LINNET_TRY(RunSampling(place));
  return RunVideos(place);
}

}  // namespace linnet
