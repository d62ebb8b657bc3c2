#include "quant/weight_mix.h"

#include <algorithm>
#include <map>

namespace linnet {
namespace {

constexpr WeightMix kMixes[] = {
    {"q2_k", Dtype::kQ2K, Dtype::kQ6K, 10},     {"q3_k_s", Dtype::kQ3K, Dtype::kQ6K, 11},
    {"q3_k_m", Dtype::kQ3K, Dtype::kQ6K, 12},   {"q3_k_l", Dtype::kQ3K, Dtype::kQ6K, 13},
    {"iq4_xs", Dtype::kIq4Xs, Dtype::kQ6K, 30}, {"iq4_nl", Dtype::kIq4Nl, Dtype::kQ6K, 25},
    {"q4_0", Dtype::kQ4_0, Dtype::kQ6K, 2},     {"q4_k_s", Dtype::kQ4K, Dtype::kQ6K, 14},
    {"q4_k_m", Dtype::kQ4K, Dtype::kQ6K, 15},   {"q4_1", Dtype::kQ4_1, Dtype::kQ6K, 3},
    {"q5_0", Dtype::kQ5_0, Dtype::kQ6K, 8},     {"q5_k_s", Dtype::kQ5K, Dtype::kQ6K, 16},
    {"q5_k_m", Dtype::kQ5K, Dtype::kQ6K, 17},   {"q5_1", Dtype::kQ5_1, Dtype::kQ6K, 9},
    {"q6_k", Dtype::kQ6K, Dtype::kQ6K, 18},     {"q8_0", Dtype::kQ8_0, Dtype::kQ8_0, 7},
    {"bf16", Dtype::kBf16, Dtype::kBf16, 32},
};

constexpr DirectoryForm kForms[] = {
    {"w4a16-g32", false, {4, 32, false}},    {"w4a16-g128", false, {4, 128, false}},
    {"mlx-4bit-g32", true, {4, 32, true}},   {"mlx-4bit-g64", true, {4, 64, true}},
    {"mlx-4bit-g128", true, {4, 128, true}}, {"mlx-8bit-g32", true, {8, 32, true}},
    {"mlx-8bit-g64", true, {8, 64, true}},   {"mlx-8bit-g128", true, {8, 128, true}},
};

// Matrix i of the n of its kind that a model has.
struct Place {
  size_t i, n;
  bool first_eighth() const { return i < n / 8; }
  bool first_sixteenth() const { return i < n / 16; }
  // Both ends, and every third between them.
  bool more_bits() const { return first_eighth() || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }
};

Dtype ValueType(const WeightMix& mix, Place place) {
  const std::string_view name = mix.name;
  if (name == "q2_k") return Dtype::kQ3K;
  if (name == "q3_k_m") return place.i < 2 ? Dtype::kQ5K : Dtype::kQ4K;
  if (name == "q3_k_l") return Dtype::kQ5K;
  if (name == "q4_k_s" && place.i < 4) return Dtype::kQ5K;
  if ((name == "q4_k_m" || name == "q5_k_m") && place.more_bits()) return Dtype::kQ6K;
  return mix.bulk;
}

Dtype DownType(const WeightMix& mix, Place place, bool importance) {
  const std::string_view name = mix.name;
  if (name == "q2_k") return Dtype::kQ3K;
  if (name == "q3_k_m") return place.first_sixteenth() ? Dtype::kQ5K : Dtype::kQ4K;
  if (name == "q3_k_l") return Dtype::kQ5K;
  if (name == "q4_k_s" && place.first_eighth()) return Dtype::kQ5K;
  if ((name == "q4_k_m" || name == "q5_k_m") && place.more_bits()) return Dtype::kQ6K;
  if ((name == "iq4_xs" || name == "iq4_nl") && place.first_eighth() && !importance) return Dtype::kQ5K;
  if (name == "q4_0" && place.first_eighth() && importance) return Dtype::kQ4_1;
  return mix.bulk;
}

Dtype OutputType(const WeightMix& mix) {
  if (mix.name == "q2_k") return Dtype::kQ3K;
  if (mix.name == "q3_k_m") return Dtype::kQ4K;
  if (mix.name == "q3_k_l") return Dtype::kQ5K;
  return mix.bulk;
}

// "ffn_down.weight" of "blk.3.ffn_down.weight".
std::string_view KindOf(std::string_view name) {
  if (!name.starts_with("blk.")) return name;
  const size_t dot = name.find('.', 4);
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

}  // namespace

std::span<const DirectoryForm> DirectoryForms() { return kForms; }

const DirectoryForm* DirectoryFormOf(std::string_view name) {
  const auto* form = std::ranges::find(kForms, name, &DirectoryForm::name);
  return form == std::end(kForms) ? nullptr : form;
}

std::span<const WeightMix> Mixes() { return kMixes; }

const WeightMix* MixOf(std::string_view name) {
  const auto* mix = std::ranges::find(kMixes, name, &WeightMix::name);
  return mix == std::end(kMixes) ? nullptr : mix;
}

std::vector<Dtype> TypesIn(const WeightMix& mix, std::span<const std::string> names, bool importance) {
  std::map<std::string_view, size_t> counts, seen;
  for (const std::string& name : names) ++counts[KindOf(name)];
  std::vector<Dtype> types;
  for (const std::string& name : names) {
    const std::string_view kind = KindOf(name);
    const Place place{seen[kind]++, counts[kind]};
    if (kind == "token_embd.weight" || kind == "output.weight") {
      types.push_back(mix.table);
    } else if (kind == "attn_v.weight") {
      types.push_back(ValueType(mix, place));
    } else if (kind == "ffn_down.weight") {
      types.push_back(DownType(mix, place, importance));
    } else {
      types.push_back(kind == "attn_output.weight" ? OutputType(mix) : mix.bulk);
    }
  }
  return types;
}

Dtype TypeForRow(Dtype dtype, int64_t row) {
  if (row % GetDtypeInfo(dtype).block_elements == 0) return dtype;
  if (row % 32 != 0) return Dtype::kBf16;
  switch (dtype) {
    case Dtype::kIq4Xs:
      return Dtype::kIq4Nl;
    case Dtype::kQ2K:
    case Dtype::kQ3K:
      return Dtype::kQ4_0;
    case Dtype::kQ4K:
      return Dtype::kQ5_0;
    case Dtype::kQ5K:
      return Dtype::kQ5_1;
    case Dtype::kQ6K:
      return Dtype::kQ8_0;
    default:
      return Dtype::kBf16;
  }
}

}  // namespace linnet
