#include "quant/item_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "linnet/version.h"
#include "ops/matrix.h"
#include "quant/weight_mix.h"
#include "runtime/sha256.h"
#include "tensor/block_format.h"
#include "tensor/block_search.h"

namespace linnet {
namespace {

// Values decoded at a time: memory stays bounded whatever the size of a matrix.
constexpr int64_t kChunkValues = int64_t{1} << 22;

// Formats of a file that is to have a size, and the rows of a matrix that are tried in them.
constexpr Dtype kLadder[] = {Dtype::kQ3K, Dtype::kIq4Xs, Dtype::kQ4_0, Dtype::kQ4K,
                             Dtype::kQ5K, Dtype::kQ6K,   Dtype::kQ8_0, Dtype::kBf16};
constexpr int64_t kSampledRows = 32;

bool IsTableItem(const Item& item) { return item.name == "token_embd.weight"; }

}  // namespace

void ItemWriter::Note(std::string note) {
  if (std::find(report_.notes.begin(), report_.notes.end(), note) == report_.notes.end()) {
    report_.notes.push_back(std::move(note));
  }
}

// What the item is stored as where `wanted` is asked for.
Dtype ItemWriter::FormatOf(const Item& item, Dtype wanted) {
  const int64_t row = item.shape.back();
  Dtype type = TypeForRow(wanted, row);
  if (type != wanted) {
    Note(fmt::format(
        "matrices with rows of {} are stored as {} instead of {}: no multiple of its block of {}", row,
        GetDtypeInfo(type).name, GetDtypeInfo(wanted).name, GetDtypeInfo(wanted).block_elements));
  }
  // Files have an id for it, packed ones a kernel.
  const DtypeInfo& info = GetDtypeInfo(type);
  return options_.pack || info.ggml_type < 0 ? info.held : type;
}

void ItemWriter::ChooseFormats(std::vector<Item>& items) {
  std::vector<std::string> names;
  for (const Item& item : items) {
    if (item.matrix) names.push_back(item.name);
  }
  std::vector<Dtype> mixed;
  if (options_.mix != nullptr)
    mixed = TypesIn(*options_.mix, names, options_.importance != nullptr || options_.will_have_importance);
  size_t matrix = 0;
  for (Item& item : items) {
    if (!item.matrix) continue;
    Dtype wanted = options_.type;
    if (keep_) {
      wanted = item.tensor->dtype;
    } else if (!mixed.empty()) {
      wanted = mixed[matrix];
    } else if (IsTableItem(item) && wanted == Dtype::kQ4_0) {
      wanted = Dtype::kQ8_0;
      Note("the embedding table is stored as q8_0: it is also the head");
    }
    ++matrix;
    item.dtype = FormatOf(item, wanted);
    item.packed = options_.pack;
  }
}

void ItemWriter::NoteLosses() {
  EncodingLoss all, lattice;
  const ConvertedMatrix* worst = nullptr;
  size_t rounded = 0;
  bool searched = false;
  for (const ConvertedMatrix& matrix : report_.matrices) {
    if (GetDtypeInfo(matrix.after).block_elements == 32) lattice.Add(matrix.loss);
    if (matrix.loss.error == 0) continue;
    all.Add(matrix.loss);
    ++rounded;
    searched |= CanSearch(matrix.after);
    if (worst == nullptr || matrix.loss.relative() > worst->loss.relative()) worst = &matrix;
  }
  if (worst == nullptr) return;
  Note(fmt::format("{} of {} matrices were rounded: relative squared error {:.2g}, at most {:.2g} ({})",
                   rounded, report_.matrices.size(), all.relative(), worst->loss.relative(), worst->name));
  const double exact = lattice.blocks > 0 ? 100.0 * lattice.exact / lattice.blocks : 0.0;
  if (exact >= 1) {
    Note(fmt::format(
        "{:.2f} % of the blocks of 32 held multiples of one step, as training for four bits leaves "
        "them, and keep their values",
        exact));
  }
  if (searched) {
    Note("scales were chosen by search, without a calibration: 'linnet quantise' can do it with one");
  }
}

void ItemWriter::Show(const std::string& what, uint64_t within) {
  if (progress_) progress_(static_cast<double>(done_ + within) / static_cast<double>(total_), what);
}

// Some rows of the matrix, spread over it, in each format of the ladder.
std::vector<SizeChoice> ItemWriter::ChoicesOf(const Item& item, std::span<const float> importance) {
  const int64_t row = item.shape.back(), rows = item.shape.front();
  const int64_t count = std::min(rows, kSampledRows);
  const Dtype stored = item.tensor->dtype;
  const uint64_t row_bytes = RowBytes(stored, static_cast<uint64_t>(row));
  std::vector<uint8_t> scratch;
  decoded_.resize(static_cast<size_t>(count * row));
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t offset = static_cast<uint64_t>(i * rows / count) * row_bytes;
    DecodeRow(stored, item.source->Bytes(*item.tensor, offset, row_bytes, scratch).data(),
              std::span(decoded_).subspan(static_cast<size_t>(i * row), static_cast<size_t>(row)));
  }
  std::vector<SizeChoice> choices;
  for (const Dtype wanted : kLadder) {
    const Dtype type = TypeForRow(wanted, row);
    const uint64_t bytes = RowBytes(type, item.elements());
    if (!choices.empty() && bytes <= choices.back().bytes) continue;
    EncodingLoss loss;
    encoder_.Encode(type, decoded_, row, {importance, nullptr}, loss);
    choices.push_back({type, bytes, loss.weighted()});
  }
  return choices;
}

Status ItemWriter::FitFormats(uint64_t metadata, std::vector<Item>& items) {
  // What an entry of the header takes beside the name: its length, shape, type and place; and padding.
  constexpr uint64_t kEntryBytes = 8 + 4 + 16 + 4 + 8 + kGgufAlignment;
  uint64_t others = metadata;
  std::vector<Item*> matrices;
  std::vector<std::vector<SizeChoice>> choices;
  for (Item& item : items) {
    others += kEntryBytes + item.name.size();
    if (!item.matrix) {
      others += RowBytes(item.dtype, item.elements());
      continue;
    }
    LINNET_ASSIGN(const std::span<const float> importance, ImportanceOf(item));
    matrices.push_back(&item);
    choices.push_back(ChoicesOf(item, importance));
    Show("measuring what each format loses", item.elements());
    done_ += item.elements();
  }
  if (matrices.empty()) return {};
  const uint64_t room = options_.to_bytes > others ? options_.to_bytes - others : 0;
  LINNET_ASSIGN(const std::vector<size_t> chosen, ChooseWithin(choices, room));
  for (size_t i = 0; i < matrices.size(); ++i) matrices[i]->dtype = choices[i][chosen[i]].dtype;
  return {};
}

void ItemWriter::Protect(std::span<const std::filesystem::path> inputs) {
  read_.insert(read_.end(), inputs.begin(), inputs.end());
}

Status ItemWriter::CheckOutput(const std::filesystem::path& path) const {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  for (const std::filesystem::path& input : read_) {
    if (std::filesystem::equivalent(input, path, error)) {
      return Fail(ErrorCode::kInvalidArgument, path.string() + " is part of the input",
                  "give another output");
    }
  }
  if (options_.dry_run || options_.overwrite) return {};
  return Fail(ErrorCode::kInvalidArgument, path.string() + " exists already",
              "give another name, or --force to replace it");
}

Status ItemWriter::WriteFiles(OutputFiles& files, std::vector<Item> items) {
  done_ = 0, total_ = 1;
  for (const Item& item : items) total_ += item.elements();
  if (options_.to_bytes > 0) {
    LINNET_TRY(FitFormats(files.MetadataBytes(), items));
  }
  done_ = 0;
  files.Plan(items);
  const std::vector<ConvertedFile> planned = files.Files();
  for (const ConvertedFile& file : planned) LINNET_TRY(CheckOutput(file.path));
  report_.files.insert(report_.files.end(), planned.begin(), planned.end());
  std::vector<EncodingLoss> before;
  if (!options_.dry_run) {
    LINNET_ASSIGN(before, files.Begin(MadeOf(files.Headers(), items)));
  }
  if (!before.empty()) {
    Note(fmt::format("{} of {} tensors were there already, of a run that was interrupted", before.size(),
                     items.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    loss_ = i < before.size() ? before[i] : EncodingLoss();
    if (!options_.dry_run && i >= before.size()) {
      LINNET_TRY(WriteItem(files, item));
      LINNET_TRY(files.EndItem(loss_));
    }
    if (item.matrix) {
      report_.matrices.push_back(
          {item.name, item.tensor->dtype, item.dtype, item.elements(), item.groups, loss_});
    }
    done_ += item.elements();
    Show("writing " + options_.output, 0);
  }
  return {};
}

// All that the bytes of the output depend on.
std::string ItemWriter::MadeOf(const std::string& headers, std::span<const Item> items) const {
  std::string all = std::string(Version()) + headers;
  std::error_code error;
  for (const std::filesystem::path& input : read_) {
    all += fmt::format("\n{} {} {}", input.string(), std::filesystem::file_size(input, error),
                       std::filesystem::last_write_time(input, error).time_since_epoch().count());
  }
  for (const Item& item : items) {
    if (options_.importance == nullptr) break;
    const std::span<const float> importance = options_.importance->Of(item.name);
    all.append(reinterpret_cast<const char*>(importance.data()), importance.size_bytes());
  }
  if (options_.calibration != nullptr) {
    all += fmt::format("\ncolumns {}", options_.calibration->rules().columns);
  }
  return Sha256Hex({reinterpret_cast<const uint8_t*>(all.data()), all.size()});
}

Status ItemWriter::WriteItem(OutputFiles& files, const Item& item) {
  LINNET_TRY(LookUpInputs(item));
  LINNET_TRY(item.tensor != nullptr ? WriteTensor(files, item) : WriteValues(files, item, item.values));
  if (!std::isfinite(loss_.error) || !std::isfinite(loss_.total)) {
    return Fail(ErrorCode::kBadFile,
                "the tensor \"" + item.name + "\" holds numbers that " +
                    std::string(GetDtypeInfo(item.dtype).name) +
                    " cannot: infinite, none at all or too large",
                "the file is damaged, or choose another --type");
  }
  return {};
}

Result<std::span<const float>> ItemWriter::ImportanceOf(const Item& item) const {
  if (options_.importance == nullptr) return std::span<const float>();
  const std::span<const float> importance = options_.importance->Of(item.name);
  if (importance.empty() || static_cast<int64_t>(importance.size()) == item.shape.back()) return importance;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: \"{}\" has {} numbers, its rows have {}", options_.importance->path, item.name,
                          importance.size(), item.shape.back()),
              "give the importances of this model");
}

Status ItemWriter::LookUpInputs(const Item& item) {
  inputs_ = {};
  if (!item.matrix) return {};
  LINNET_ASSIGN(inputs_.importance, ImportanceOf(item));
  if (options_.calibration != nullptr && (item.groups || item.tensor->dtype != item.dtype)) {
    feedback_ = options_.calibration->FeedbackOf(item.name);
    inputs_.feedback = feedback_.get();
  }
  return {};
}

// Encodes whole rows on all threads.
Status ItemWriter::WriteValues(OutputFiles& files, const Item& item, std::span<const float> values) {
  if (item.groups) {
    const EncodedGroups encoded =
        encoder_.EncodeGroups(*item.groups, values, item.shape.back(), inputs_, loss_);
    steps_.insert(steps_.end(), encoded.steps.begin(), encoded.steps.end());
    offsets_.insert(offsets_.end(), encoded.offsets.begin(), encoded.offsets.end());
    return files.Write(encoded.levels);
  }
  return WriteRows(files, item, encoder_.Encode(item.dtype, values, item.shape.back(), inputs_, loss_));
}

// Whole rows in the item's format; of a packed item whole panels, but for the last.
Status ItemWriter::WriteRows(OutputFiles& files, const Item& item, std::span<const uint8_t> rows) {
  if (!item.packed) return files.Write(rows);
  const int64_t k = item.shape.back();
  const PanelFormat format = *PanelFormatOf(item.dtype);
  const size_t sixteen = kPanel * RowBytes(item.dtype, static_cast<uint64_t>(k));
  const size_t panel_bytes = static_cast<size_t>(PanelBytes(format, k));
  const size_t panels = (rows.size() + sixteen - 1) / sixteen;
  packed_.resize(panels * panel_bytes);
  pool_.For(static_cast<int64_t>(panels), [&](int64_t begin, int64_t end, int) {
    for (size_t p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p) {
      const size_t length = std::min(sixteen, rows.size() - p * sixteen);
      PackRows(item.dtype, rows.subspan(p * sixteen, length), format, k, packed_.data() + p * panel_bytes);
    }
  });
  return files.Write(packed_);
}

Status ItemWriter::WriteTensor(OutputFiles& files, const Item& item) {
  const int64_t row = item.shape.back();
  const int64_t rows = static_cast<int64_t>(item.elements()) / row;
  const Dtype stored = item.tensor->dtype;
  const uint64_t row_bytes = RowBytes(stored, static_cast<uint64_t>(row));
  const int64_t step = std::max<int64_t>(1, kChunkValues / (row * kPanel)) * kPanel;
  std::vector<uint8_t> scratch;
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t count = std::min(step, rows - first);
    const uint64_t offset = static_cast<uint64_t>(first) * row_bytes,
                   length = static_cast<uint64_t>(count) * row_bytes;
    const std::span<const uint8_t> bytes = item.source->Bytes(*item.tensor, offset, length, scratch);
    if (!item.groups && stored == item.dtype) {
      LINNET_TRY(WriteRows(files, item, bytes));
    } else if (!item.groups && GetDtypeInfo(stored).held == item.dtype) {
      recoded_.resize(RowBytes(item.dtype, static_cast<uint64_t>(count * row)));
      RecodeRow(stored, bytes.data(), static_cast<size_t>(count * row), recoded_.data());
      LINNET_TRY(WriteRows(files, item, recoded_));
    } else {
      decoded_.resize(static_cast<size_t>(count * row));
      pool_.For(count, [&](int64_t begin, int64_t end, int) {
        for (int64_t r = begin; r < end; ++r) {
          DecodeRow(stored, bytes.data() + static_cast<size_t>(r) * row_bytes,
                    std::span(decoded_).subspan(static_cast<size_t>(r * row), static_cast<size_t>(row)));
        }
      });
      LINNET_TRY(WriteValues(files, item, decoded_));
    }
    item.source->Forget(*item.tensor, offset, length);
    Show("writing " + options_.output, static_cast<uint64_t>((first + count) * row));
  }
  return item.groups ? WriteAfterLevels(files, item) : Status();
}

// The tensors of a matrix that stand behind that of its levels.
Status ItemWriter::WriteAfterLevels(OutputFiles& files, const Item& item) {
  const auto write = [&](const auto& values) {
    return files.Write({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof values[0]});
  };
  LINNET_TRY(write(steps_));
  if (item.groups->offset) {
    LINNET_TRY(write(offsets_));
  }
  steps_.clear();
  offsets_.clear();
  return item.shape_part ? write(item.shape) : Status();
}

}  // namespace linnet
