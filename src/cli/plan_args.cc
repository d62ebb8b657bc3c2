#include "cli/plan_args.h"

#include <fmt/core.h>

#include "base/cpu_info.h"
#include "cli/context_table.h"
#include "media/patches.h"

namespace linnet {

void DeclarePlan(Args& args, PlanArgs& values) {
  DeclareModel(args, values.model);
  DeclareDrafting(args, values.model);
  args.Option("--conversations", values.conversations, "memory is planned for so many at once");
  args.Option("--image-tokens", values.image_tokens,
              "and for pictures of up to so many tokens, 0 (none) to 1120; default: the model's own number");
}

Result<MemoryPlanOptions> ToPlanOptions(const PlanArgs& values) {
  MemoryPlanOptions options;
  LINNET_ASSIGN(options.session, ToSessionOptions(values.model));
  LINNET_ASSIGN(options.threads, ThreadsOf(values.model.threads));
  options.sessions = values.conversations;
  options.dequantise = values.model.dequantise;
  if (!values.image_tokens) return options;
  if (*values.image_tokens < 0 || *values.image_tokens > kImageBudgets.back()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--image-tokens is {}", *values.image_tokens),
                fmt::format("give 0 to {}", kImageBudgets.back()));
  }
  options.picture_tokens = *values.image_tokens;
  return options;
}

Result<std::string> PlanOf(const PlanArgs& values, int64_t context) {
  LINNET_ASSIGN(const int wanted, ThreadsOf(values.model.threads));
  LINNET_ASSIGN(const int threads, ThreadCount(wanted));
  return fmt::format("{} of {} tokens in {}, {}", Counted(values.conversations, "conversation"), context,
                     values.model.kv, Counted(threads, "thread"));
}

}  // namespace linnet
