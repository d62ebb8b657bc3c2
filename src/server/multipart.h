// Bodies of forms: multipart/form-data, RFC 7578.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

struct FormPart {
  std::string name, file_name;  // the second is empty for what is no file
  std::string_view content;     // into the body
};

// `type`: the body's Content-Type with its boundary. Errors: kInvalidArgument.
Result<std::vector<FormPart>> ParseForm(std::string_view type, std::string_view body);

}  // namespace linnet
