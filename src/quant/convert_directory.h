// Private to the converter: a model as a Hugging Face directory whose matrices are quantised.
#pragma once

#include "linnet/error.h"
#include "model/model_files.h"
#include "quant/convert.h"
#include "quant/item_writer.h"

namespace linnet {

// Whether `options.output` may become a directory: there is nothing yet, or an empty one.
Status CheckNewDirectory(const std::string& output);

// config.json and what else the model's directory holds come along. Errors: kInvalidArgument for a model that
// is no directory; those of ItemWriter.
Status ConvertDirectory(ItemWriter& writer, const ModelFiles& files, const ConvertOptions& options);

}  // namespace linnet
