#include "runtime/repetition.h"

#include <algorithm>

namespace linnet {

void Repetition::Json(Place& place, char c) const {
  const bool was = place.in_value;
  if (place.in_string) {
    if (place.escaped) {
      place.escaped = false;
    } else if (c == '\\') {
      place.escaped = true;
    } else if (c == '"') {
      place.in_string = place.in_value = false;
    }
    return;
  }
  place.in_string = c == '"';
  place.in_value = place.in_string || (c >= '0' && c <= '9') || c == '.' || (was && (c == 'e' || c == 'E'));
  if (place.in_value && !was) place.begin = ids_.size();
}

Repetition::Place Repetition::After(Place place, int32_t id, std::string_view bytes) const {
  switch (notation_) {
    case ValueNotation::kJson:
      for (const char c : bytes) Json(place, c);
      break;
    case ValueNotation::kToolCalls:
      if (id == quote_) {
        place.in_value = !place.in_value;
        place.begin = ids_.size();
      }
      break;
    case ValueNotation::kText:
      place.in_value = true;
      break;
  }
  return place;
}

void Repetition::Add(int32_t id, std::string_view bytes) {
  const Place place = After(places_.empty() ? Place{} : places_.back(), id, bytes);
  ids_.push_back(id);
  places_.push_back(place);
}

void Repetition::RollBack(int64_t tokens) {
  const size_t left = ids_.size() - std::min(ids_.size(), static_cast<size_t>(tokens));
  ids_.resize(left);
  places_.resize(left);
}

void Repetition::Clear() {
  ids_.clear();
  places_.clear();
}

size_t Repetition::Repeated(size_t period, size_t most) const {
  size_t count = 0;
  while (count < most && ids_[ids_.size() - 1 - count] == ids_[ids_.size() - 1 - count - period]) ++count;
  return count;
}

bool Repetition::Endless() const {
  if (ids_.size() <= kWithin + kLongestPart) return false;
  const Place& place = places_.back();
  const size_t value = place.in_value ? ids_.size() - place.begin : 0;
  const size_t enough = value > kWithin + kLongestPart ? kWithin : kAcross;
  if (ids_.size() <= enough + kLongestPart) return false;
  for (size_t period = 1; period <= kLongestPart; ++period) {
    if (Repeated(period, enough) == enough) return true;
  }
  return false;
}

}  // namespace linnet
