#include <cleave/base/version.h>

#include <cstdio>

int main() {
  std::printf("cleave %.*s\n", static_cast<int>(cleave::kVersion.size()), cleave::kVersion.data());
}
