// NarReader: takes a Nix archive apart as its bytes come in.
//
// The format is specified in https://nix.dev/manual/nix/latest/protocols/nix-archive; eight lines
// in internal/grammar.h are enough of it to read the code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/io.h"
#include "cleave/nar/nar_error.h"

namespace cleave {

// What the events below are about. Views are valid during the call only. `path` is "a/b/c" from
// the root, `name` its last part; both are empty for the root itself. Any bytes may be in them but
// NUL.
struct NarDirectory {
  std::string_view path;
  std::string_view name;
};
struct NarFile {
  std::string_view path;
  std::string_view name;
  bool executable = false;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // of the contents in the NAR
};
struct NarSymlink {
  std::string_view path;
  std::string_view name;
  std::string_view target;
  std::uint64_t offset = 0;  // of the target in the NAR
};

// Receives a NAR as events, in the order of the archive. An error stops the reader for good.
class NarVisitor {
 public:
  virtual ~NarVisitor() = default;
  virtual Result<> directory_begin(const NarDirectory&) { return {}; }
  virtual Result<> directory_end() { return {}; }
  virtual Result<> file_begin(const NarFile&) { return {}; }
  // The next bytes of the file begun last; not empty; a slice of what was fed, never a copy.
  virtual Result<> file_contents(ByteSpan) { return {}; }
  virtual Result<> file_end() { return {}; }
  virtual Result<> symlink(const NarSymlink&) { return {}; }
  // Asked after each event: true ends reading early, without an error.
  virtual bool has_enough() const { return false; }
};

struct NarReaderOptions {
  // Size of the whole NAR, when it is known: contents that cannot fit are refused at their length,
  // not when the end comes.
  std::optional<std::uint64_t> total_size;
};

// A push parser. However the archive is sliced, the visitor sees the same events (only contents may
// come in other pieces). Memory is bounded, some 20 KiB, whatever the archive says. All of the
// grammar is checked, so that what is accepted has exactly one encoding: the one that was read.
class NarReader {
 public:
  // `visitor` must outlive the reader.
  explicit NarReader(NarVisitor& visitor, const NarReaderOptions& options = {});

  // After an error, or one of the visitor, every call returns the same error. Once the visitor has
  // enough, the rest is ignored, unchecked.
  Result<> feed(ByteSpan slice);
  // To be called at the end of the input: an error when the archive is not complete.
  Result<> finish();

  // True when the visitor had enough; at the end of the archive it is not.
  bool stopped() const { return state_ == State::stopped; }
  // How many bytes were taken so far.
  std::uint64_t offset() const { return offset_; }

 private:
  enum class State : std::uint8_t {
    words,            // fixed words of the grammar, words_, then after_
    string_length,    // of a string that varies: what_
    string_body,      //
    contents_length,  // of a file
    contents,
    contents_padding,
    end,
    stopped,
  };
  enum class What : std::uint8_t { type, file_word, directory_word, name, target };
  struct Level {
    std::uint32_t path_size = 0;
    bool has_entries = false;
  };

  Result<> parse(ByteSpan input);
  Result<> match_words(ByteSpan& input);
  Result<> string_length(std::uint64_t length);
  Result<> string_body(std::string_view padded);
  Result<> contents_length(std::uint64_t length);
  Result<> type(std::string_view word);
  Result<> file_word(std::string_view word);
  Result<> directory_word(std::string_view word);
  Result<> name(std::string_view name);
  Result<> target(std::string_view target);
  Result<> event(const Result<>& result);
  const std::byte* gather(ByteSpan& input, std::size_t size);
  void expect(std::string_view words, State after, What what = What::type);
  void expect_string(What what);
  void end_object();
  std::string_view last_name() const;
  std::unexpected<Error> bad(Error made, std::uint64_t offset) const;

  NarVisitor& visitor_;
  std::uint64_t limit_;  // of offsets
  State state_ = State::words;
  What what_ = What::type;

  State after_ = State::string_length;
  std::string_view words_;
  std::size_t matched_ = 0;

  std::uint64_t offset_ = 0;
  std::uint64_t string_at_ = 0;
  std::uint64_t rest_ = 0;  // of the string or contents at hand
  bool executable_ = false;

  // The entry at hand. In a folder that has entries, its last part is the latest entry's name.
  std::string path_;
  std::size_t depth_ = 0;  // open folders
  std::array<Level, kMaxNarDepth> levels_;

  // A token that is spread over slices.
  std::size_t gathered_ = 0;
  std::array<std::byte, 4096> gather_;

  std::optional<Error> failed_;
};

// Feeds all of `source` to `visitor`, or as much as it wants.
Result<> read_nar(ByteSource& source, NarVisitor& visitor, const NarReaderOptions& options = {});
// The same for a NAR in memory; does not touch the contents of files.
Result<> read_nar(ByteSpan nar, NarVisitor& visitor);

}  // namespace cleave
