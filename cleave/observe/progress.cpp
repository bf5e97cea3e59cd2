#include "cleave/observe/progress.h"

#include "cleave/base/internal/fail.h"

namespace cleave {

Result<> Progress::check() const {
  if (stop.load(std::memory_order_relaxed)) return fail(IoError::interrupted);
  return {};
}

}  // namespace cleave
