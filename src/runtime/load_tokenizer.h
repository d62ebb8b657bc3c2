// The tokenizer of a model, from the file or the metadata that hold its vocabulary.
#pragma once

#include <memory>

#include "linnet/error.h"
#include "model/model_files.h"
#include "text/tokenizer.h"

namespace linnet {

// Errors: kNotFound when the model has none, kBadFile; the message names the file.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModelFiles& files);

}  // namespace linnet
