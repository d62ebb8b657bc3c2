// Conversion of a model to GGUF files: one for the text model, one for the multimodal parts (mmproj-NAME.gguf
// beside it), one for a drafter directory; or to a Hugging Face directory. Layouts: docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "quant/calibration.h"
#include "quant/importance.h"
#include "quant/matrix_encoder.h"
#include "quant/weight_mix.h"
#include "tensor/dtype.h"

namespace linnet {

struct ConvertOptions {
  // As OpenModel takes it, a drafter's directory, or "synthetic:SPEC" (quant/synthetic.h): made-up weights in
  // the formats that the specification names, so that other programs can be measured on the same file. `type`
  // is ignored.
  std::string input;
  std::string output;         // ends in .gguf, or a directory
  Dtype type = Dtype::kBf16;  // of the matrices: one that CanWrite
  bool overwrite = false;
  // The decoder's matrices in the kernels' own layout: Linnet uses them where they lie in the mapped file,
  // without copying them; other programs cannot read them. The multimodal file stays as it is.
  bool pack = false;
  bool keep_types = false;         // matrices keep the format they have, `type` is ignored
  const WeightMix* mix = nullptr;  // of the matrices' formats, instead of `type`
  const DirectoryForm* form =
      nullptr;             // the output is a directory of this form, `mix` and `type` are ignored
  uint64_t max_shard = 0;  // bytes of a file's tensors; 0: one GGUF, what is usual in directories
  // Of what projects pictures and sounds to the model's width; not set: as it is, or bf16.
  std::optional<Dtype> projections;
  const Importance* importance = nullptr;  // of the columns of matrices, for the search
  Calibration* calibration = nullptr;      // for error feedback; the same model has read
  uint64_t to_bytes =
      0;  // of the file of the text model, at most: formats are chosen by what they lose; with a mix
  bool dry_run = false;               // nothing is written: the report says what would be
  bool will_have_importance = false;  // in a dry run: mixes differ by it
};

struct ConvertedFile {
  std::string path;
  uint64_t bytes = 0;
};

// Of the decoder (or drafter), in file order.
struct ConvertedMatrix {
  std::string name;
  Dtype before, after;
  uint64_t elements = 0;
  std::optional<GroupFormat> groups;  // instead of `after`
  EncodingLoss loss;                  // empty where the format stayed, or holds all it held

  uint64_t bytes() const { return groups ? groups->RowBytes(elements) : RowBytes(after, elements); }
};

struct ConvertReport {
  std::vector<ConvertedFile> files;
  std::vector<ConvertedMatrix> matrices;
  std::vector<std::string> notes;  // what was stored otherwise than asked, and why
};

// Norms, biases and scalars are stored as float32. Matrices whose rows are not a multiple of the block get a
// format with a smaller one (TypeForRow). With the type q4_0 the embedding table, which is also the head, is
// stored as q8_0. Formats of blocks are chosen by search (tensor/block_search.h). Errors: those of OpenModel;
// kInvalidArgument when the output exists or is an input, or the input is packed already.
Result<ConvertReport> ConvertModel(const ConvertOptions& options, ThreadPool& pool, const Progress& progress);

// Whether the output may be written, before any work. Errors: kInvalidArgument.
Status CheckConversion(const ConvertOptions& options);

}  // namespace linnet
