// Conversion of a model to GGUF files: one for the text model, one for the multimodal parts (mmproj-NAME.gguf
// beside it), one for a drafter directory. Layouts: docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "tensor/dtype.h"

namespace linnet {

struct ConvertOptions {
  // As OpenModel takes it, a drafter's directory, or "synthetic:SPEC" (quant/synthetic.h): made-up weights in
  // the formats that the specification names, so that other programs can be measured on the same file. `type`
  // is ignored.
  std::string input;
  std::string output;         // ends in .gguf
  Dtype type = Dtype::kBf16;  // of the matrices: one that CanEncode
  bool overwrite = false;
  // The decoder's matrices in the kernels' own layout: Linnet uses them where they lie in the mapped file,
  // without copying them; other programs cannot read them. The multimodal file stays as it is.
  bool pack = false;
  bool keep_types = false;  // matrices keep the format they have, `type` is ignored
};

struct ConvertedFile {
  std::string path;
  uint64_t bytes = 0;
};

struct ConvertReport {
  std::vector<ConvertedFile> files;
  std::vector<std::string> notes;  // what was stored otherwise than asked, and why
};

// Norms, biases and scalars are stored as float32. Matrices whose rows are not a multiple of the block stay
// bf16. With q4_0 the embedding table, which is also the head, is stored as q8_0. Errors: those of OpenModel;
// kInvalidArgument when the output exists or is an input, or the input is packed already.
Result<ConvertReport> ConvertModel(const ConvertOptions& options, ThreadPool& pool, const Progress& progress);

}  // namespace linnet
