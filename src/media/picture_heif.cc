// HEIC and AVIF through libheif: the primary picture of the file. libheif itself turns, mirrors and crops as
// the file's properties say (irot, imir, clap); the EXIF orientation, which such files repeat, does not
// count.
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <libheif/heif.h>

#include "media/media_kind.h"
#include "media/picture_formats.h"

namespace linnet {

// libheif's own decoders may be files too.
void PreparePictureLibraries() { heif_init(nullptr); }

namespace media_internal {
namespace {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Context = std::unique_ptr<heif_context, Freed<heif_context_free>>;
using Handle = std::unique_ptr<heif_image_handle, Freed<heif_image_handle_release>>;
using Image = std::unique_ptr<heif_image, Freed<heif_image_release>>;
using DecodingOptions = std::unique_ptr<heif_decoding_options, Freed<heif_decoding_options_free>>;

// "a HEIC picture" is of the format "HEIC".
std::string_view FormatOf(Bytes bytes) {
  std::string_view name = RecogniseMedia(bytes).name;
  name.remove_prefix(std::min(name.size(), name.find(' ') + 1));
  return name.substr(0, name.find(' '));
}

// The boxes at the top of the file.
struct Boxes {
  bool movie = false;  // a list of frames beside the still picture
  bool cut = false;    // the last one is longer than the file
};

Boxes WalkBoxes(Bytes bytes) {
  Boxes found;
  for (size_t at = 0; at < bytes.size();) {
    if (bytes.size() - at < 8) return {found.movie, true};
    found.movie = found.movie || std::memcmp(&bytes[at + 4], "moov", 4) == 0;
    const size_t size = static_cast<size_t>(bytes[at]) << 24 | static_cast<size_t>(bytes[at + 1]) << 16 |
                        static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3];
    if (size < 8) return found;  // up to the end, or of more than 4 GB
    if (size > bytes.size() - at) return {found.movie, true};
    at += size;
  }
  return found;
}

std::unexpected<Error> ToError(const heif_error& error, Bytes bytes) {
  const std::string_view message = error.message == nullptr ? "" : error.message, format = FormatOf(bytes);
  if (error.code == heif_error_Memory_allocation_error) {
    return Fail(ErrorCode::kOutOfMemory, "not enough memory to decode the picture", "scale it down");
  }
  if (error.subcode == heif_suberror_Unsupported_codec || error.code == heif_error_Plugin_loading_error) {
    return Fail(
        ErrorCode::kUnsupported, fmt::format("is a picture ({}) that libheif has no decoder for", format),
        "install libheif-plugin-libde265 (HEIC) or libheif-plugin-dav1d (AVIF), or save it as a JPEG");
  }
  if (error.subcode == heif_suberror_Security_limit_exceeded) {
    return Fail(ErrorCode::kUnsupported, fmt::format("is larger than libheif reads: {}", message),
                "scale it down or cut it into parts");
  }
  const bool bad = error.code == heif_error_Invalid_input || error.code == heif_error_Decoder_plugin_error;
  if (error.subcode == heif_suberror_End_of_data || (bad && WalkBoxes(bytes).cut)) {
    return EndsEarly(format, bytes.size());
  }
  if (error.code == heif_error_Unsupported_filetype || error.code == heif_error_Unsupported_feature ||
      error.subcode == heif_suberror_No_meta_box) {
    return NotSupported(fmt::format("a picture ({}) of a rare kind ({})", format, message));
  }
  return Damaged(format, message);
}

Result<Handle> OpenPrimary(heif_context* context, Bytes bytes) {
  heif_error error = heif_context_read_from_memory_without_copy(context, bytes.data(), bytes.size(), nullptr);
  if (error.code != heif_error_Ok) return ToError(error, bytes);
  heif_image_handle* handle = nullptr;
  error = heif_context_get_primary_image_handle(context, &handle);
  if (error.code != heif_error_Ok) return ToError(error, bytes);
  return Handle(handle);
}

Result<Image> Decode(const heif_image_handle* handle, Bytes bytes, const PictureOptions& options) {
  const DecodingOptions decoding(heif_decoding_options_alloc());
  if (decoding == nullptr) return Fail(ErrorCode::kOutOfMemory, "the decoder got no memory");
  decoding->ignore_transformations = options.apply_orientation ? 0 : 1;
  decoding->convert_hdr_to_8bit = 1;
  heif_image* image = nullptr;
  const heif_error error =
      heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGB, decoding.get());
  if (error.code != heif_error_Ok) return ToError(error, bytes);
  return Image(image);
}

std::string NoteOf(heif_context* context, heif_image* image, Bytes bytes) {
  heif_error warning = {};
  if (heif_image_get_decoding_warnings(image, 0, &warning, 1) > 0) {
    return fmt::format("the {} data is damaged: parts of the picture may be wrong", FormatOf(bytes));
  }
  if (WalkBoxes(bytes).movie) return "an animation: only its still picture is used";
  if (heif_context_get_number_of_top_level_images(context) > 1) {
    return "several pictures: only the main one is used";
  }
  return {};
}

}  // namespace

Result<Decoded> DecodeHeif(Bytes bytes, const PictureOptions& options) {
  const Context context(heif_context_alloc());
  if (context == nullptr) return Fail(ErrorCode::kOutOfMemory, "the decoder got no memory");
  // Tiles one after the other: each takes memory while it is decoded.
  heif_context_set_max_decoding_threads(context.get(), 0);
  LINNET_ASSIGN(const Handle handle, OpenPrimary(context.get(), bytes));
  LINNET_TRY(CheckPictureSize(static_cast<uint64_t>(std::max(0, heif_image_handle_get_width(handle.get()))),
                              static_cast<uint64_t>(std::max(0, heif_image_handle_get_height(handle.get()))),
                              options));
  LINNET_ASSIGN(const Image image, Decode(handle.get(), bytes, options));
  // What was coded may have another size than the file says.
  const int64_t width = heif_image_get_width(image.get(), heif_channel_interleaved);
  const int64_t height = heif_image_get_height(image.get(), heif_channel_interleaved);
  int stride = 0;
  const uint8_t* rows = heif_image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
  if (rows == nullptr || width < 1 || height < 1 || stride < 3 * width) {
    return Damaged(FormatOf(bytes), "it holds no pixels");
  }
  LINNET_TRY(CheckPictureSize(static_cast<uint64_t>(width), static_cast<uint64_t>(height), options));
  Decoded decoded;
  Picture& picture = decoded.picture;
  picture.format = FormatOf(bytes);
  picture.width = width;
  picture.height = height;
  picture.rgb.resize(static_cast<size_t>(3 * width * height));
  for (int64_t y = 0; y < height; ++y) {
    std::memcpy(&picture.rgb[static_cast<size_t>(3 * width * y)], rows + y * stride,
                static_cast<size_t>(3 * width));
  }
  picture.note = NoteOf(context.get(), image.get(), bytes);
  return decoded;
}

}  // namespace media_internal
}  // namespace linnet
