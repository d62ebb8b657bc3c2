// JPEG through libjpeg-turbo with its defaults (accurate integer DCT, fancy upsampling), which give the
// reference's bytes. libjpeg leaves by longjmp: everything with a destructor lives in JpegJob, outside the
// frames jumped over.
#include <csetjmp>
#include <cstdio>
#include <string>
#include <vector>

#include <jpeglib.h>

#include <jerror.h>

#include "media/exif.h"
#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

// A Huffman-coded block of 8 x 8 takes at least one bit.
constexpr uint64_t kMaxPixelsPerByte = 8 * 64;
// Real progressive files have about ten scans; thousands of empty ones would keep the decoder busy for
// minutes.
constexpr int kMaxScans = 500;
constexpr unsigned kMaxMarkerBytes = 0xffff;
constexpr int kBits = 8;  // a sample, all that the library is built for

struct JpegJob {
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  const PictureOptions* options = nullptr;
  Bytes bytes;
  bool ran_out = false;     // libjpeg asked for bytes beyond the end of the file
  bool lacks_data = false;  // entropy-coded data was missing and made up
  bool corrupt = false;
  bool too_many_scans = false;
  int orientation = 1;
  char message[JMSG_LENGTH_MAX] = {};
  int code = 0, value = 0;  // of that message
  Picture picture;
  std::vector<uint8_t> cmyk_row;
  Status status;
};

JpegJob& JobOf(j_common_ptr info) { return *static_cast<JpegJob*>(info->client_data); }

[[noreturn]] void OnError(j_common_ptr info) {
  JpegJob& job = JobOf(info);
  info->err->format_message(info, job.message);
  job.code = info->err->msg_code;
  job.value = info->err->msg_parm.i[0];
  std::longjmp(job.jump, 1);
}

// Errors that say of an intact file what the library cannot do.
std::string RareKind(const JpegJob& job) {
  constexpr int kLossless = 0xc3, kFirstHierarchical = 0xc5;
  switch (job.code) {
    case JERR_BAD_PRECISION:
      return "a JPEG of " + std::to_string(job.value) + " bits a sample";
    case JERR_ARITH_NOTIMPL:
      return "a JPEG with arithmetic coding";
    case JERR_SOF_UNSUPPORTED:
      if (job.value == kLossless) return "a lossless JPEG";
      return job.value >= kFirstHierarchical ? "a hierarchical JPEG" : "a JPEG of a rare process";
    case JERR_CONVERSION_NOTIMPL:
      return "a JPEG of rare colours";
    default:
      return {};
  }
}

void OnMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  JpegJob& job = JobOf(info);
  (info->err->msg_code == JWRN_HIT_MARKER ? job.lacks_data : job.corrupt) = true;
}

void NoOutput(j_common_ptr) {}

void InitSource(j_decompress_ptr) {}

// libjpeg reads ahead, so running out is no error yet: a file without its end marker is complete.
boolean FillInput(j_decompress_ptr info) {
  static const JOCTET kEnd[2] = {0xff, JPEG_EOI};
  static_cast<JpegJob*>(info->client_data)->ran_out = true;
  info->src->next_input_byte = kEnd;
  info->src->bytes_in_buffer = sizeof(kEnd);
  return TRUE;
}

void SkipInput(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<size_t>(count) > info->src->bytes_in_buffer) {
    FillInput(info);
    return;
  }
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= static_cast<size_t>(count);
}

void OnProgress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  JpegJob& job = JobOf(info);
  job.too_many_scans = true;
  std::longjmp(job.jump, 1);
}

void Connect(jpeg_decompress_struct* info, JpegJob* job) {
  info->err = jpeg_std_error(&job->errors);
  info->client_data = job;
  job->errors.error_exit = OnError;
  job->errors.emit_message = OnMessage;
  job->errors.output_message = NoOutput;
  job->source = {};
  job->source.next_input_byte = job->bytes.data();
  job->source.bytes_in_buffer = job->bytes.size();
  job->source.init_source = InitSource;
  job->source.fill_input_buffer = FillInput;
  job->source.skip_input_data = SkipInput;
  job->source.resync_to_restart = jpeg_resync_to_restart;
  job->source.term_source = InitSource;
  job->progress = {};
  job->progress.progress_monitor = OnProgress;
}

int FindOrientation(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const Bytes data(marker->data, marker->data_length);
    if (data.size() > 6 && data[0] == 'E' && data[1] == 'x' && data[2] == 'i' && data[3] == 'f') {
      return ExifOrientation(data);
    }
  }
  return 1;
}

Status CheckStart(const jpeg_decompress_struct& info, const JpegJob& job) {
  LINNET_TRY(CheckPictureSize(info.image_width, info.image_height, *job.options));
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    return Fail(ErrorCode::kUnsupported, "a JPEG with " + std::to_string(info.num_components) + " components",
                "convert it to RGB");
  }
  if (info.data_precision != kBits) {
    return NotSupported("a JPEG of " + std::to_string(info.data_precision) + " bits a sample");
  }
  const uint64_t pixels = static_cast<uint64_t>(info.image_width) * info.image_height;
  if (info.arith_code == FALSE && pixels / kMaxPixelsPerByte > job.bytes.size()) {
    return EndsEarly("JPEG", job.bytes.size());
  }
  return {};
}

// Returns false after an error. Only trivial objects may live in this frame.
bool ReadAll(jpeg_decompress_struct* info, JpegJob* job) {
  if (setjmp(job->jump) != 0) return false;
  jpeg_create_decompress(info);
  info->src = &job->source;
  info->progress = &job->progress;
  jpeg_save_markers(info, JPEG_APP0 + 1, kMaxMarkerBytes);
  jpeg_read_header(info, TRUE);
  job->status = CheckStart(*info, *job);
  if (!job->status) return false;
  job->orientation = FindOrientation(*info);
  const bool cmyk = info->num_components == 4;
  info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const int64_t width = info->image_width, height = info->image_height;
  job->picture.width = width;
  job->picture.height = height;
  job->picture.rgb.resize(static_cast<size_t>(3 * width * height));
  if (cmyk) job->cmyk_row.resize(static_cast<size_t>(4 * width));
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height) {
    uint8_t* rgb = &job->picture.rgb[3 * width * info->output_scanline];
    JSAMPROW row = cmyk ? job->cmyk_row.data() : rgb;
    jpeg_read_scanlines(info, &row, 1);
    if (!cmyk) continue;
    // Four-component files follow Adobe's habit of storing ink inverted.
    for (uint8_t& ink : job->cmyk_row) ink = static_cast<uint8_t>(255 - ink);
    CmykToRgb(job->cmyk_row.data(), width, rgb);
  }
  // In a progressive file the end of the data may lie between two scans, which loses detail but misses no
  // block.
  if (job->ran_out && info->progressive_mode != FALSE) job->lacks_data = true;
  return true;
}

}  // namespace

Result<Decoded> DecodeJpeg(Bytes bytes, const PictureOptions& options) {
  JpegJob job;
  job.options = &options;
  job.bytes = bytes;
  jpeg_decompress_struct info = {};
  Connect(&info, &job);
  const bool done = ReadAll(&info, &job);
  jpeg_destroy_decompress(&info);
  if (!job.status) return std::unexpected(job.status.error());
  if (job.too_many_scans) return Damaged("JPEG", "more than 500 scans");
  if (job.ran_out && (job.lacks_data || !done)) return EndsEarly("JPEG", bytes.size());
  if (const std::string kind = RareKind(job); !done && !kind.empty()) return NotSupported(kind);
  if (!done) return Damaged("JPEG", job.message);
  job.picture.format = "JPEG";
  if (job.lacks_data || job.corrupt)
    job.picture.note = "the JPEG data is damaged: parts of the picture may be wrong";
  return Decoded{std::move(job.picture), job.orientation};
}

}  // namespace linnet::media_internal
