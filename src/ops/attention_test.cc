#include "ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/dispatch.h"

namespace linnet {
namespace {

struct Shape {
  int64_t heads, kv_heads, dim, keys;
};

struct Case {
  Shape shape;
  std::vector<float> q, k, v;
  std::vector<KeyRange> visible;
  int64_t tokens;
};

// `tokens` rows at the end of `keys` positions with a window; the rows of a bidirectional block also see
// ahead.
Case MakeCase(Shape shape, int64_t tokens, int64_t window, bool block) {
  std::mt19937 rng(17);
  std::normal_distribution<float> normal;
  const auto fill = [&](int64_t n) {
    std::vector<float> x(static_cast<size_t>(n));
    for (float& value : x) value = normal(rng);
    return x;
  };
  Case c{shape,
         fill(tokens * shape.heads * shape.dim),
         fill(shape.keys * shape.kv_heads * shape.dim),
         fill(shape.keys * shape.kv_heads * shape.dim),
         {},
         tokens};
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t position = shape.keys - tokens + t;
    const int64_t last = block && t >= tokens / 2 ? shape.keys - 1 : position;
    c.visible.push_back({std::max<int64_t>(0, position - window + 1), last});
  }
  return c;
}

KvStore Store(const Case& c, int64_t capacity, KvType type = KvType::kF32) {
  KvStore store(type, c.shape.kv_heads, c.shape.dim, capacity);
  const int64_t width = c.shape.kv_heads * c.shape.dim;
  for (int64_t p = 0; p < c.shape.keys; ++p)
    store.Write(p, &c.k[static_cast<size_t>(p * width)], &c.v[static_cast<size_t>(p * width)]);
  return store;
}

struct By {
  int threads;
  const KernelTable& kernels = Kernels();
};

std::vector<float> Attend(const Case& c, const KvStore& store, int64_t first, int64_t count, By by) {
  ThreadPool pool(by.threads);
  OpContext context(pool, by.kernels);
  context.Reserve({1, 32, c.shape.heads, c.shape.dim});
  const int64_t width = c.shape.heads * c.shape.dim;
  std::vector<float> q(c.q.begin() + first * width, c.q.begin() + (first + count) * width), out(q.size());
  const auto visible = std::span(c.visible).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  const StoreRows rows{&store, 0, count};
  Attention(context, {MakeRows(q.data(), count, width), visible, 0.3f}, {&rows, 1},
            MakeRows(out.data(), count, width));
  return out;
}

std::vector<double> Reference(const Case& c) {
  const Shape& s = c.shape;
  std::vector<double> out(static_cast<size_t>(c.tokens * s.heads * s.dim));
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t kv = h / (s.heads / s.kv_heads);
      const float* q = &c.q[static_cast<size_t>((t * s.heads + h) * s.dim)];
      double total = 0;
      const KeyRange& range = c.visible[static_cast<size_t>(t)];
      for (int64_t p = range.first; p <= range.last; ++p) {
        double score = 0;
        for (int64_t e = 0; e < s.dim; ++e)
          score += 0.3f * double{q[e]} * c.k[static_cast<size_t>((p * s.kv_heads + kv) * s.dim + e)];
        const double weight = std::exp(score);
        total += weight;
        for (int64_t e = 0; e < s.dim; ++e) {
          out[static_cast<size_t>((t * s.heads + h) * s.dim + e)] +=
              weight * c.v[static_cast<size_t>((p * s.kv_heads + kv) * s.dim + e)];
        }
      }
      for (int64_t e = 0; e < s.dim; ++e) out[static_cast<size_t>((t * s.heads + h) * s.dim + e)] /= total;
    }
  }
  return out;
}

const Shape kShapes[] = {
    {4, 2, 24, 40}, {4, 1, 40, 130}, {16, 8, 64, 300}, {16, 1, 128, 2500}, {3, 3, 20, 1}};

TEST(Attention, MatchesDoublePrecision) {
  for (const Shape& shape : kShapes) {
    for (const int64_t window : {int64_t{8}, int64_t{100}, int64_t{100000}}) {
      const Case c = MakeCase(shape, std::min<int64_t>(shape.keys, 37), window, true);
      const std::vector<float> out = Attend(c, Store(c, shape.keys), 0, c.tokens, {2});
      const std::vector<double> expected = Reference(c);
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_NEAR(out[i], expected[i], 1e-5 * (1 + std::fabs(expected[i])));
    }
  }
}

const KvType kTypes[] = {KvType::kF32, KvType::kBf16, KvType::kInt8};

// The keys and values that a store gives back, instead of those that were written.
Case AsStored(Case c, const KvStore& store) {
  const int64_t heads = c.shape.kv_heads, dim = c.shape.dim;
  for (int64_t p = 0; p < c.shape.keys; ++p) {
    for (int64_t h = 0; h < heads; ++h) {
      const size_t at = static_cast<size_t>((p * heads + h) * dim);
      store.Read(p, h, &c.k[at], &c.v[at]);
    }
  }
  return c;
}

// Root mean square of the difference, over that of what is expected.
double RelativeError(const std::vector<float>& out, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    difference += (out[i] - expected[i]) * (out[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference / size);
}

// Queries and weights are rounded too: to eight bits of bfloat16, or to fourteen and seven bits of their
// largest.
TEST(Attention, NarrowTypesMatchDoublePrecisionOnWhatTheyHold) {
  for (const Shape& shape : kShapes) {
    for (const int64_t window : {int64_t{8}, int64_t{100000}}) {
      const Case c = MakeCase(shape, std::min<int64_t>(shape.keys, 37), window, true);
      const KvStore pairs = Store(c, shape.keys, KvType::kBf16), bytes = Store(c, shape.keys, KvType::kInt8);
      EXPECT_LT(RelativeError(Attend(c, pairs, 0, c.tokens, {2}), Reference(AsStored(c, pairs))), 0.006)
          << shape.dim;
      EXPECT_LT(RelativeError(Attend(c, bytes, 0, c.tokens, {2}), Reference(AsStored(c, bytes))), 0.02)
          << shape.dim;
      EXPECT_LT(RelativeError(Attend(c, bytes, 0, c.tokens, {2}), Reference(c)), 0.05) << shape.dim;
    }
  }
}

TEST(Attention, ARowDoesNotKnowItsBatchNorThreadsNorKernels) {
  for (const Shape& shape : kShapes) {
    const Case c = MakeCase(shape, std::min<int64_t>(shape.keys, 37), 1500, true);
    for (const KvType type : kTypes) {
      const KvStore store = Store(c, shape.keys + 77, type);
      const std::vector<float> all = Attend(c, store, 0, c.tokens, {1});
      const int64_t width = shape.heads * shape.dim;
      EXPECT_EQ(Attend(c, store, 0, c.tokens, {4}), all);
      for (const KernelTable* kernels : SupportedKernels()) {
        EXPECT_EQ(Attend(c, store, 0, c.tokens, {2, *kernels}), all) << kernels->name;
      }
      for (int64_t first = 0; first < c.tokens; first += 5) {
        for (const int64_t count : {int64_t{1}, int64_t{3}, int64_t{12}}) {
          if (first + count > c.tokens) continue;
          const std::vector<float> part = Attend(c, store, first, count, {3});
          EXPECT_EQ(0, std::memcmp(part.data(), &all[static_cast<size_t>(first * width)], part.size() * 4));
        }
      }
    }
  }
}

TEST(Attention, ARingGivesTheBitsOfAStoreThatHoldsEverything) {
  const Case c = MakeCase({4, 2, 24, 700}, 20, 100, false);
  for (const KvType type : kTypes) {
    const std::vector<float> whole = Attend(c, Store(c, 700, type), 0, 20, {1});
    EXPECT_EQ(Attend(c, Store(c, 128, type), 0, 20, {1}), whole);
  }
}

// Keys that are values times a weight but for rotated pairs, as a KeyNorm says.
Case SharedCase(Shape shape, int64_t pairs, const std::vector<float>& weight, int64_t tokens) {
  Case c = MakeCase(shape, tokens, 100000, true);
  for (size_t i = 0; i < c.k.size(); ++i) {
    const size_t e = i % weight.size();
    if (static_cast<int64_t>(e % (weight.size() / 2)) >= pairs) c.k[i] = c.v[i] * weight[e];
  }
  return c;
}

std::vector<float> KeyWeight(int64_t dim) {
  std::vector<float> weight(static_cast<size_t>(dim));
  for (size_t e = 0; e < weight.size(); ++e) weight[e] = 0.3f + 0.01f * static_cast<float>(e % 70);
  return weight;
}

void Fill(KvStore& store, const Case& c) {
  const size_t width = static_cast<size_t>(c.shape.kv_heads * c.shape.dim);
  for (int64_t p = 0; p < c.shape.keys; ++p)
    store.Write(p, &c.k[static_cast<size_t>(p) * width], &c.v[static_cast<size_t>(p) * width]);
}

// Pages in any order, some way apart, for a store of them.
struct Pages {
  explicit Pages(KvStore& store) {
    const int64_t stride = store.page_bytes() + kAlignment, count = store.capacity() / kPagePositions;
    memory = AlignedBuffer<uint8_t>(static_cast<size_t>(count * stride));
    for (int64_t i = 0; i < count; ++i) store.SetPage(i, memory.data() + (i * 7 + 3) % count * stride);
  }
  AlignedBuffer<uint8_t> memory;
};

TEST(Attention, PagesGiveTheBitsOfAStoreInOnePiece) {
  const std::vector<float> weight = KeyWeight(24);
  const Case c = SharedCase({4, 2, 24, 2300}, 2, weight, 40);
  for (const KvType type : kTypes) {
    for (const KeyNorm& norm : {KeyNorm{}, KeyNorm{2, weight, true}}) {
      KvStore piece(type, 2, 24, 2300, norm), paged = KvStore::Paged(type, 2, 24, 2300, norm);
      const Pages pages(paged);
      Fill(piece, c);
      Fill(paged, c);
      EXPECT_EQ(Attend(c, paged, 0, c.tokens, {2}), Attend(c, piece, 0, c.tokens, {1}));
      EXPECT_EQ(Attend(c, paged, 3, 1, {2}), Attend(c, piece, 3, 1, {1}));
    }
  }
}

TEST(SharedKeys, MatchDoublePrecisionAndDoNotKnowTheirBatch) {
  for (const auto& [shape, pairs] :
       {std::pair{Shape{16, 1, 128, 2500}, 16}, {Shape{4, 2, 24, 130}, 3}, {Shape{3, 1, 40, 70}, 0}}) {
    const std::vector<float> weight = KeyWeight(shape.dim);
    const Case c = SharedCase(shape, pairs, weight, 21);
    KvStore store(KvType::kF32, shape.kv_heads, shape.dim, shape.keys, {pairs, weight, true});
    Fill(store, c);
    EXPECT_LT(store.bytes(), Store(c, shape.keys).bytes());
    const std::vector<float> out = Attend(c, store, 0, c.tokens, {2});
    const std::vector<double> expected = Reference(c);
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_NEAR(out[i], expected[i], 1e-5 * (1 + std::fabs(expected[i])));
    const int64_t width = shape.heads * shape.dim;
    for (const int64_t count : {1, 3, 7}) {
      const std::vector<float> part = Attend(c, store, 5, count, {3});
      EXPECT_EQ(0, std::memcmp(part.data(), &out[static_cast<size_t>(5 * width)], part.size() * 4));
    }
  }
}

// Keys are made of rows in pieces of 128 elements or 32 positions: one, several, and a part of one.
TEST(SharedKeys, OfNarrowTypesMatchWhatTheyHold) {
  for (const auto& [shape, pairs] : {std::pair{Shape{16, 1, 128, 2500}, 16},
                                     {Shape{4, 2, 24, 130}, 2},
                                     {Shape{3, 1, 40, 70}, 0},
                                     {Shape{5, 1, 300, 130}, 10}}) {
    const std::vector<float> weight = KeyWeight(shape.dim);
    const Case c = SharedCase(shape, pairs, weight, 21);
    for (const KvType type : {KvType::kBf16, KvType::kInt8}) {
      KvStore store(type, shape.kv_heads, shape.dim, shape.keys, {pairs, weight, true});
      Fill(store, c);
      EXPECT_LT(store.bytes(), Store(c, shape.keys, type).bytes());
      const std::vector<float> out = Attend(c, store, 0, c.tokens, {2});
      EXPECT_LT(RelativeError(out, Reference(AsStored(c, store))), type == KvType::kBf16 ? 0.006 : 0.02);
      EXPECT_LT(RelativeError(out, Reference(c)), type == KvType::kBf16 ? 0.02 : 0.06);
      for (const KernelTable* kernels : SupportedKernels()) {
        EXPECT_EQ(Attend(c, store, 0, c.tokens, {2, *kernels}), out) << kernels->name;
      }
      const int64_t width = shape.heads * shape.dim;
      for (const int64_t count : {1, 3, 7}) {
        const std::vector<float> part = Attend(c, store, 5, count, {3});
        EXPECT_EQ(0, std::memcmp(part.data(), &out[static_cast<size_t>(5 * width)], part.size() * 4));
      }
    }
  }
}

// A piece whose elements are pairs, but not fours.
TEST(SharedKeys, OfPairsMayHaveAnyEvenNumberOfElements) {
  const std::vector<float> weight = KeyWeight(134);
  const Case c = SharedCase({3, 1, 134, 90}, 3, weight, 9);
  KvStore store(KvType::kBf16, 1, 134, 90, {3, weight, true});
  Fill(store, c);
  const std::vector<float> out = Attend(c, store, 0, c.tokens, {2});
  EXPECT_LT(RelativeError(out, Reference(AsStored(c, store))), 0.006);
  for (const KernelTable* kernels : SupportedKernels()) {
    EXPECT_EQ(Attend(c, store, 0, c.tokens, {1, *kernels}), out) << kernels->name;
  }
}

TEST(KvStore, KeysOfBytesAreSmoothedByTheWeightOfTheirNorm) {
  const Shape shape{4, 2, 64, 200};
  Case c = MakeCase(shape, 10, 1000, false);
  std::vector<float> weight(64, 1.0f);
  weight[3] = weight[35] = 40.0f;  // a rotated pair that training has made large
  for (size_t i = 0; i < c.k.size(); ++i) c.k[i] *= weight[i % 64];
  for (float& q : c.q) q *= 0.1f;
  KvStore plain = Store(c, 200, KvType::kInt8), smoothed(KvType::kInt8, 2, 64, 200, {32, weight});
  Fill(smoothed, c);
  const std::vector<double> expected = Reference(c);
  EXPECT_LT(RelativeError(Attend(c, smoothed, 0, 10, {1}), expected),
            0.7 * RelativeError(Attend(c, plain, 0, 10, {1}), expected));
}

TEST(SharedKeys, AreReadBackAsKeysAndValues) {
  const std::vector<float> weight = KeyWeight(24);
  const Case c = SharedCase({4, 2, 24, 90}, 3, weight, 1);
  KvStore store(KvType::kF32, 2, 24, 90, {3, weight, true}),
      copy(KvType::kF32, 2, 24, 200, {3, weight, true});
  Fill(store, c);
  copy.CopyFrom(store, 30, 90);
  std::vector<float> key(24), value(24);
  copy.Read(77, 1, key.data(), value.data());
  EXPECT_EQ(0, std::memcmp(key.data(), &c.k[(77 * 2 + 1) * 24], 24 * 4));
  EXPECT_EQ(0, std::memcmp(value.data(), &c.v[(77 * 2 + 1) * 24], 24 * 4));
}

TEST(KvStore, CopiesBitForBitAndReadsBack) {
  const Case c = MakeCase({4, 2, 24, 90}, 1, 90, false);
  for (const KvType type : kTypes) {
    const KvStore store = Store(c, 90, type);
    KvStore copied(type, 2, 24, 256), copy(type, 2, 24, 192);
    copied.CopyFrom(store, 30, 90);
    std::vector<uint8_t> block(static_cast<size_t>(store.saved_block_bytes()));
    copied.SaveBlock(77, block.data());
    copy.LoadBlock(77, block.data());
    std::vector<float> key(24), value(24), copied_key(24), copied_value(24);
    store.Read(77, 1, key.data(), value.data());
    copy.Read(77, 1, copied_key.data(), copied_value.data());
    EXPECT_EQ(key, copied_key);
    EXPECT_EQ(value, copied_value);
    const double step = type == KvType::kF32 ? 0 : type == KvType::kBf16 ? 0.004 : 0.02;
    for (size_t e = 0; e < 24; ++e) {
      EXPECT_NEAR(key[e], c.k[(77 * 2 + 1) * 24 + e], step * 3);
      EXPECT_NEAR(value[e], c.v[(77 * 2 + 1) * 24 + e], step * 3);
    }
  }
}

}  // namespace
}  // namespace linnet
