// Input that a signal stops.
#pragma once

#include <string>

#include "cleave/base/file.h"
#include "cleave/observe/progress.h"

namespace cleave::cli {

// A regular file, or standard input for "-". Ends with IoError::interrupted when the job is to
// stop, also while standard input keeps it waiting.
class Input final : public ByteSource {
 public:
  enum class Counts : bool { no, yes };  // whether what is read is progress
  static Result<Input> open(const std::string& path, Progress& progress, Counts counts);

  Result<std::size_t> read(MutableByteSpan into) override;
  std::optional<std::uint64_t> remaining() const override { return file_.remaining(); }
  // Fails when a regular file was written to since it was opened.
  Result<> check_unchanged() const;

 private:
  Input(FileSource file, bool may_wait, Progress& progress, Counts counts)
      : file_(std::move(file)), may_wait_(may_wait), progress_(progress), counts_(counts) {}

  FileSource file_;
  bool may_wait_;
  Progress& progress_;
  Counts counts_;
};

}  // namespace cleave::cli
