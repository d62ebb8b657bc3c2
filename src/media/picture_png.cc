// PNG through libpng. libpng leaves by longjmp: everything with a destructor lives in PngJob, outside the
// frames that are jumped over.
#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>

#include <png.h>

#include "media/exif.h"
#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr size_t kChunkOverhead = 12;     // length, type, CRC
constexpr uint64_t kMaxInflation = 1032;  // deflate cannot expand further

struct PngJob {
  Bytes bytes;
  size_t at = 0;
  const PictureOptions* options = nullptr;
  bool ended_early = false;
  char message[96] = {};
  Picture picture;
  Status size_status;
};

void ReadBytes(png_structp png, png_bytep out, size_t count) {
  auto* job = static_cast<PngJob*>(png_get_io_ptr(png));
  if (job->bytes.size() - job->at < count) {
    job->ended_early = true;
    png_error(png, "end of file");
  }
  std::memcpy(out, job->bytes.data() + job->at, count);
  job->at += count;
}

void OnError(png_structp png, png_const_charp message) {
  auto* job = static_cast<PngJob*>(png_get_error_ptr(png));
  std::strncpy(job->message, message, sizeof(job->message) - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

// 8-bit RGB whatever the file holds.
void AskForRgb(png_structp png, png_infop info) {
  const int type = png_get_color_type(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
}

bool Plausible(const PngJob& job, png_structp png, png_infop info) {
  const uint64_t raw =
      (static_cast<uint64_t>(png_get_rowbytes(png, info)) + 1) * png_get_image_height(png, info);
  return raw / kMaxInflation <= job.bytes.size();
}

// Returns false after an error. Only trivial objects may live in this frame.
bool ReadAll(png_structp png, png_infop info, PngJob* job) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, job, ReadBytes);
  png_set_user_limits(png, static_cast<png_uint_32>(kMaxPictureSide),
                      static_cast<png_uint_32>(kMaxPictureSide));
  // Everything but header, palette, transparency and pixels is skipped unread: libpng would take the memory
  // that a chunk of text or EXIF claims before it looks whether the file has it.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, info);
  const int64_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  job->size_status = CheckPictureSize(width, height, *job->options);
  if (!job->size_status) return false;
  if (!Plausible(*job, png, info)) {
    job->ended_early = true;
    return false;
  }
  AskForRgb(png, info);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(3 * width)) png_error(png, "unexpected row length");
  job->picture.width = width;
  job->picture.height = height;
  job->picture.rgb.resize(static_cast<size_t>(3 * width * height));
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t y = 0; y < height; ++y) png_read_row(png, &job->picture.rgb[3 * width * y], nullptr);
  }
  return true;
}

// libpng may set limits on the size of the header itself; those are asked before it sees the file so that the
// answer names the real size.
Status CheckHeader(Bytes bytes, const PictureOptions& options) {
  if (bytes.size() < kSignatureBytes + kChunkOverhead + 13) return EndsEarly("PNG", bytes.size());
  const auto u32 = [&](size_t at) {
    return static_cast<uint64_t>(bytes[at]) << 24 | static_cast<uint64_t>(bytes[at + 1]) << 16 |
           static_cast<uint64_t>(bytes[at + 2]) << 8 | bytes[at + 3];
  };
  if (std::memcmp(&bytes[12], "IHDR", 4) != 0) return Damaged("PNG", "no IHDR at the start");
  return CheckPictureSize(u32(16), u32(20), options);
}

// What the chunks say that libpng is told to pass over. eXIf may stand before or after the pixels.
void ReadOtherChunks(Bytes bytes, Decoded& decoded) {
  bool oriented = false;
  for (size_t at = kSignatureBytes; bytes.size() - at >= kChunkOverhead;) {
    const size_t length = static_cast<size_t>(bytes[at]) << 24 | static_cast<size_t>(bytes[at + 1]) << 16 |
                          static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3];
    if (length > bytes.size() - at - kChunkOverhead) return;
    const auto is = [&](const char* type) { return std::memcmp(&bytes[at + 4], type, 4) == 0; };
    if (is("eXIf") && !oriented) {
      decoded.orientation = ExifOrientation(bytes.subspan(at + 8, length));
      oriented = true;
    }
    // acTL: the number of frames, in its first four bytes, and of repetitions.
    if (is("acTL") && length >= 4 &&
        (bytes[at + 8] | bytes[at + 9] | bytes[at + 10] | (bytes[at + 11] > 1)) != 0) {
      decoded.picture.note = "an animation: only its first frame is used";
    }
    at += kChunkOverhead + length;
  }
}

}  // namespace

Result<Decoded> DecodePng(Bytes bytes, const PictureOptions& options) {
  LINNET_TRY(CheckHeader(bytes, options));
  PngJob job;
  job.bytes = bytes;
  job.options = &options;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, OnError, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    return Fail(ErrorCode::kOutOfMemory, "the PNG decoder got no memory");
  }
  const bool done = ReadAll(png, info, &job);
  png_destroy_read_struct(&png, &info, nullptr);
  if (!job.size_status) return std::unexpected(job.size_status.error());
  if (!done) return job.ended_early ? EndsEarly("PNG", bytes.size()) : Damaged("PNG", job.message);
  job.picture.format = "PNG";
  Decoded decoded{std::move(job.picture)};
  ReadOtherChunks(bytes, decoded);
  return decoded;
}

}  // namespace linnet::media_internal
