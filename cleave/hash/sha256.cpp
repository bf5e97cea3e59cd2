#include "cleave/hash/sha256.h"

#include <new>

#include <openssl/evp.h>

namespace cleave {

namespace {

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

// Fetched once: EVP_sha256() would be looked up at every initialisation.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched != nullptr ? fetched : EVP_sha256();
}

// SHA-256 cannot fail on valid contexts, short of memory.
void require(int result) {
  if (result != 1) throw std::bad_alloc();
}

}  // namespace

void Sha256::FreeContext::operator()(void* context) const { EVP_MD_CTX_free(as_context(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ != nullptr ? 1 : 0);
  require(EVP_DigestInit_ex2(as_context(context_.get()), algorithm(), nullptr));
}

void Sha256::update(ByteSpan bytes) {
  require(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()));
}

Digest Sha256::finish() {
  Digest digest;
  EVP_MD_CTX* context = as_context(context_.get());
  require(
      EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(digest.bytes.data()), nullptr));
  require(EVP_DigestInit_ex2(context, nullptr, nullptr));
  return digest;
}

Digest sha256(ByteSpan bytes) {
  thread_local Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace cleave
