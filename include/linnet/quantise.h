// Smaller files of a model, and what making them lost.
//
// Thread safety: calls are independent of each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

struct QuantiseOptions {
  std::string input;  // as LoadOptions::model, or a drafter's directory
  // The text model's file, ending in .gguf, what it sees and hears with goes beside it; or a new directory.
  std::string output;
  // Formats of the matrices: one of QuantiseMixes(), or a number format for all of them but the table; or one
  // of QuantiseDirectoryForms(), for a Hugging Face directory made of another.
  std::string mix = "q4_k_m";
  // Bytes of the tensors in one file, where a single one has no more: the text model's GGUF is split, the
  // weights of a directory are cut. 0: one GGUF, 5 GB in directories.
  uint64_t max_shard = 0;
  // Bytes that the file of the text model may have; not 0: `mix` is ignored, formats are chosen by what each
  // matrix loses in them, measured on some of its rows.
  uint64_t to_bytes = 0;
  std::string table;        // of the embedding, which is also the head; empty: what the mix has
  std::string projections;  // of what projects pictures and sounds, in GGUF; empty: bf16, or as they are
  std::string importance;   // a file of llama.cpp's imatrix; empty: all inputs count alike
  // What the model reads first, so that what this needs is kept closest: files of text, files of chats
  // (.jsonl, an object with `messages` or `text` a line), pictures, sounds and videos, or "builtin" for the
  // texts that Linnet brings along. The
  // importance follows from them, and errors of some inputs are made good by others (docs/quality.md).
  std::vector<std::string> calibration;
  std::string
      reader;  // the model that reads them; empty: the input. Another file of it, where memory is short
  bool feedback = true;         // with calibration: make errors good, not importance alone
  std::string save_importance;  // where to write the importance that was found; empty: nowhere
  bool overwrite = false;
  bool dry_run = false;  // says what would be written, writes nothing
  int threads = 0;       // as LoadOptions::threads
};

struct QuantisedMatrix {
  std::string name, before, after;  // formats
  uint64_t bytes_before = 0, bytes = 0;
  double error = 0;  // relative squared; 0 where nothing was rounded, or in a dry run
  double exact = 1;  // share of blocks that lay on a lattice of the format
};

struct QuantisedFile {
  std::string path;
  uint64_t bytes = 0;
};

struct QuantiseReport {
  std::vector<QuantisedFile> files;
  std::vector<QuantisedMatrix> matrices;
  std::vector<std::string> notes;
};

// By the bits of a weight.
LINNET_API std::vector<std::string> QuantiseMixes();
LINNET_API std::vector<std::string> QuantiseDirectoryForms();

// Whatever its size a model is read and written a piece at a time, in memory of less than 200 MB beside the
// vocabulary. A block that lies on a lattice of its format already, as weights do that were trained for four
// bits, comes out as it is; the others get the scales that lose least, inputs weighted by importance
// (docs/quality.md). The bits do not depend on the number of threads. Errors: those of Engine::Load;
// kInvalidArgument for an unknown format, an output that exists or is an input; kBadFile for weights that are
// not finite.
LINNET_API Result<QuantiseReport> Quantise(const QuantiseOptions& options, const Progress& progress = {});

}  // namespace linnet
