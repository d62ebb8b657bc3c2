#include "runtime/session_media.h"

#include <cstring>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/sha256.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// Of a medium or a frame: rows, bytes of the arrays.
constexpr std::string_view kWrongShape = "a medium of it is not what it says";

Json ImageShape(const ImageInput& image) {
  Json shape = {{"rows", image.rows},
                {"pixels", image.pixels.size()},
                {"positions", image.positions.size()},
                {"patches", image.patches.size()}};
  shape["scale"] = image.scale == PixelScale::kDivision ? "division" : "product";
  return shape;
}

void ForImage(const ImageInput& image, const std::function<void(std::span<const uint8_t>)>& visit) {
  visit(ContentBytes(image.pixels));
  visit(ContentBytes(image.positions));
  visit(ContentBytes(image.patches));
}

// Takes arrays off the front of the bytes.
class ArrayReader {
 public:
  explicit ArrayReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  bool Take(const Json& shape, const char* name, SharedArray<T>& array) {
    const auto count = shape.find(name);
    if (count == shape.end() || !count->is_number_unsigned()) return false;
    const uint64_t size = count->get<uint64_t>();
    if (size > bytes_.size() / sizeof(T)) return false;
    std::vector<T> values(size);
    if (size > 0) std::memcpy(values.data(), bytes_.data(), size * sizeof(T));
    bytes_ = bytes_.subspan(size * sizeof(T));
    array = std::move(values);
    return true;
  }

  bool TakeImage(const Json& shape, ImageInput& image) {
    if (!shape.is_object()) return false;
    const auto rows = shape.find("rows"), scale = shape.find("scale");
    if (rows == shape.end() || !rows->is_number_integer() || scale == shape.end()) return false;
    image.rows = rows->get<int64_t>();
    image.scale = *scale == "division" ? PixelScale::kDivision : PixelScale::kProduct;
    return Take(shape, "pixels", image.pixels) && Take(shape, "positions", image.positions) &&
           Take(shape, "patches", image.patches);
  }

  bool done() const { return bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
};

bool TakeVideo(const Json& shape, ArrayReader& reader, VideoInput& video) {
  const auto frames = shape.find("frames"), times = shape.find("timestamps");
  if (frames == shape.end() || !frames->is_array() || times == shape.end() || !times->is_array() ||
      times->size() != frames->size()) {
    return false;
  }
  for (const Json& frame : *frames) {
    if (!reader.TakeImage(frame, video.frames.emplace_back())) return false;
  }
  for (const Json& time : *times) {
    if (!time.is_string()) return false;
    video.timestamps.push_back(time.get<std::string>());
  }
  return true;
}

}  // namespace

Json ShapeOf(const MediaInput& medium) {
  if (const auto* sound = std::get_if<AudioInput>(&medium)) {
    return {{"kind", "audio"}, {"samples", sound->samples.size()}};
  }
  if (const auto* video = std::get_if<VideoInput>(&medium)) {
    Json frames = Json::array();
    for (const ImageInput& frame : video->frames) frames.push_back(ImageShape(frame));
    return {{"kind", "video"}, {"frames", std::move(frames)}, {"timestamps", video->timestamps}};
  }
  Json shape = {{"kind", "image"}};
  shape.update(ImageShape(std::get<ImageInput>(medium)));
  return shape;
}

void ForArrays(const MediaInput& medium, const std::function<void(std::span<const uint8_t>)>& visit) {
  if (const auto* sound = std::get_if<AudioInput>(&medium)) {
    visit(ContentBytes(sound->samples));
  } else if (const auto* video = std::get_if<VideoInput>(&medium)) {
    for (const ImageInput& frame : video->frames) ForImage(frame, visit);
  } else {
    ForImage(std::get<ImageInput>(medium), visit);
  }
}

std::string HashOf(const MediaInput& medium) {
  if (const auto* sound = std::get_if<AudioInput>(&medium)) return ContentHash(*sound);
  if (const auto* image = std::get_if<ImageInput>(&medium)) return ContentHash(*image);
  const auto& video = std::get<VideoInput>(medium);
  std::string all;
  for (const ImageInput& frame : video.frames) all += ContentHash(frame) + "\n";
  for (const std::string& time : video.timestamps) all += time + "\n";
  return Sha256Hex(std::span<const char>(all));
}

Result<MediaInput> MediumOf(const Json& shape, std::span<const uint8_t> bytes) {
  const auto wrong = [] { return Fail(ErrorCode::kBadFile, std::string(kWrongShape)); };
  if (!shape.is_object() || !shape.contains("kind")) return wrong();
  ArrayReader reader(bytes);
  MediaInput medium;
  bool taken = false;
  if (shape["kind"] == "audio") {
    taken = reader.Take(shape, "samples", medium.emplace<AudioInput>().samples);
  } else if (shape["kind"] == "video") {
    taken = TakeVideo(shape, reader, medium.emplace<VideoInput>());
  } else if (shape["kind"] == "image") {
    taken = reader.TakeImage(shape, medium.emplace<ImageInput>());
  }
  if (!taken || !reader.done()) return wrong();
  return medium;
}

int64_t SoftTokensOf(const Json& shape) {
  const auto rows_of = [](const Json& image) {
    const auto rows = image.find("rows");
    return rows != image.end() && rows->is_number_integer() ? rows->get<int64_t>() : 0;
  };
  if (shape.contains("rows")) return rows_of(shape);
  int64_t rows = 0;
  if (const auto frames = shape.find("frames"); frames != shape.end()) {
    for (const Json& frame : *frames) rows += rows_of(frame);
  }
  return rows;
}

}  // namespace linnet
