#include "runtime/sha256.h"

#include <array>
#include <memory>
#include <new>

#include <openssl/evp.h>

#include "base/check.h"

namespace linnet {

std::string Sha256Hex(std::span<const uint8_t> bytes) { return Sha256Hex({&bytes, 1}); }

std::string Sha256Hex(std::span<const std::span<const uint8_t>> pieces) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (context == nullptr) throw std::bad_alloc();
  bool done = EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (const auto& piece : pieces) {
    done = done && EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1;
  }
  LINNET_CHECK(done && EVP_DigestFinal_ex(context.get(), digest.data(), &length) == 1);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace linnet
