// How a checkpoint says that it was quantised: the entries of config.json and of hf_quant_config.json.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

struct Quantisation {
  enum class Method {
    kNone,
    kMlx,
    kCompressedTensors,  // and ModelOpt and fp8, whose tensors have the same names
    kGptq,
    kAwq,
  };
  // Of a module quantised by MLX.
  struct Mlx {
    int64_t bits = 0, group = 0;
    std::string mode = "affine";
  };

  Method method = Method::kNone;
  std::string name;                    // "gptq (4 bits)", as it calls itself; empty for kNone
  Mlx mlx;                             // where no module says otherwise
  std::map<std::string, Mlx> modules;  // those that do, by the path of the module
  int64_t bits = 0;                    // of GPTQ and AWQ
  bool zeros_less_one = false;         // GPTQ's first version stores zero points so
  std::vector<int64_t> widths;         // compressed-tensors: the bits of whole-number weights that occur
  int64_t block_rows = 128, block_columns = 128;  // of scales that belong to blocks of a matrix
  bool activations = false;  // it would round activations too, which is left to the kernels here
};

// `hf_quant_config` may be empty. Errors: kUnsupported with the name of a method that is not read, kBadFile.
Result<Quantisation> ReadQuantisation(std::string_view config, std::string_view hf_quant_config);

}  // namespace linnet
