#include "cleave/nar/nar_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/nar/internal/grammar.h"

namespace cleave {

using nar_grammar::encoded;
using nar_grammar::padding;

namespace {

constexpr std::size_t kReadSize = std::size_t{1} << 20;
constexpr std::size_t kMaxPath = kMaxNarDepth * (nar_grammar::kMaxName + 1);

// Which word of `words` (encoded ones) the byte at `position` belongs to.
struct WordAt {
  std::string_view word;
  bool in_padding;
};
WordAt word_at(std::string_view words, std::size_t position) {
  for (;;) {
    const auto size = static_cast<std::size_t>(load_le<std::uint64_t>(as_byte_span(words).data()));
    const std::size_t whole = 8 + size + padding(size);
    if (position < whole) return {words.substr(8, size), position >= 8 + size};
    words.remove_prefix(whole);
    position -= whole;
  }
}

}  // namespace

NarReader::NarReader(NarVisitor& visitor, const NarReaderOptions& options)
    : visitor_(visitor),
      limit_(
          std::min(options.total_size.value_or(nar_grammar::kMaxLength), nar_grammar::kMaxLength)) {
  path_.reserve(kMaxPath);
  expect(encoded<"nix-archive-1", "(", "type">(), State::string_length, What::type);
}

Result<> NarReader::feed(ByteSpan slice) {
  if (failed_) return fail(*failed_);
  Result<> result = parse(slice);
  if (!result) failed_ = result.error();
  return result;
}

Result<> NarReader::finish() {
  if (failed_) return fail(*failed_);
  if (state_ == State::end || state_ == State::stopped) return {};
  Result<> result = bad(Error(NarError::truncated), offset_);
  failed_ = result.error();
  return result;
}

// Each turn takes one token, or as much of it as there is.
Result<> NarReader::parse(ByteSpan input) {
  for (;;) {
    switch (state_) {
      case State::words:
        CLEAVE_TRY(match_words(input));
        if (state_ == State::words) return {};
        break;

      case State::string_length: {
        const std::byte* length = gather(input, 8);
        if (length == nullptr) return {};
        CLEAVE_TRY(string_length(load_le<std::uint64_t>(length)));
        break;
      }
      case State::string_body: {
        const std::size_t size = static_cast<std::size_t>(rest_) + padding(rest_);
        const std::byte* body = gather(input, size);
        if (body == nullptr) return {};
        CLEAVE_TRY(string_body(as_text({body, size})));
        break;
      }

      case State::contents_length: {
        const std::byte* length = gather(input, 8);
        if (length == nullptr) return {};
        CLEAVE_TRY(contents_length(load_le<std::uint64_t>(length)));
        break;
      }
      case State::contents: {
        if (input.empty()) return {};
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(rest_, input.size()));
        const ByteSpan contents = input.first(n);
        input = input.subspan(n);
        offset_ += n;
        rest_ -= n;
        if (rest_ == 0) state_ = State::contents_padding;
        CLEAVE_TRY(event(visitor_.file_contents(contents)));
        break;
      }
      case State::contents_padding: {
        // Contents begin at a multiple of eight.
        while (offset_ % 8 != 0) {
          if (input.empty()) return {};
          if (input[0] != std::byte{0}) return bad(Error(NarError::nonzero_padding), offset_);
          input = input.subspan(1);
          ++offset_;
        }
        end_object();
        CLEAVE_TRY(event(visitor_.file_end()));
        break;
      }

      case State::end:
        if (!input.empty()) return bad(Error(NarError::trailing_bytes), offset_);
        return {};
      case State::stopped: return {};
    }
  }
}

// Takes `size` bytes in one piece: from the input, or copied together when slices divide them.
// Null while there are too few.
const std::byte* NarReader::gather(ByteSpan& input, std::size_t size) {
  if (gathered_ == 0 && input.size() >= size) {
    const std::byte* piece = input.data();
    input = input.subspan(size);
    offset_ += size;
    return piece;
  }
  const std::size_t n = std::min(size - gathered_, input.size());
  if (n > 0) std::memcpy(gather_.data() + gathered_, input.data(), n);
  input = input.subspan(n);
  offset_ += n;
  gathered_ += n;
  if (gathered_ < size) return nullptr;
  gathered_ = 0;
  return gather_.data();
}

Result<> NarReader::match_words(ByteSpan& input) {
  const std::size_t n = std::min(words_.size() - matched_, input.size());
  const std::string_view expected = words_.substr(matched_, n);
  const std::string_view found = as_text(input.first(n));
  if (found != expected) [[unlikely]] {
    const auto wrong =
        static_cast<std::size_t>(std::ranges::mismatch(expected, found).in1 - expected.begin());
    const std::uint64_t at = offset_ + wrong;
    if (at < encoded<"nix-archive-1">().size()) return bad(Error(NarError::bad_magic), at);
    const auto [word, in_padding] = word_at(words_, matched_ + wrong);
    if (in_padding) return bad(Error(NarError::nonzero_padding), at);
    return bad(error(NarError::unexpected_token, "needs \"{}\"", word), at);
  }
  input = input.subspan(n);
  offset_ += n;
  matched_ += n;
  if (matched_ == words_.size()) state_ = after_;
  return {};
}

Result<> NarReader::string_length(std::uint64_t length) {
  string_at_ = offset_ - 8;
  std::size_t most = std::string_view("executable").size();
  NarError problem = NarError::unexpected_token;
  if (what_ == What::name) {
    most = nar_grammar::kMaxName;
    problem = NarError::invalid_name;
  } else if (what_ == What::target) {
    most = nar_grammar::kMaxTarget;
    problem = NarError::invalid_target;
  }
  if (length == 0 || length > most) {
    return bad(error(problem, "{} bytes long", length), string_at_);
  }
  rest_ = length;
  state_ = State::string_body;
  return {};
}

Result<> NarReader::string_body(std::string_view padded) {
  const std::string_view text = padded.substr(0, static_cast<std::size_t>(rest_));
  const auto nonzero = padded.find_first_not_of('\0', text.size());
  if (nonzero != padded.npos) {
    return bad(Error(NarError::nonzero_padding), offset_ - padded.size() + nonzero);
  }
  switch (what_) {
    case What::type: return type(text);
    case What::file_word: return file_word(text);
    case What::directory_word: return directory_word(text);
    case What::name: return name(text);
    case What::target: return target(text);
  }
  std::unreachable();
}

Result<> NarReader::type(std::string_view word) {
  if (word == "regular") {
    executable_ = false;
    expect_string(What::file_word);
    return {};
  }
  if (word == "symlink") {
    expect(encoded<"target">(), State::string_length, What::target);
    return {};
  }
  if (word == "directory") {
    levels_[depth_++] = {static_cast<std::uint32_t>(path_.size()), false};
    expect_string(What::directory_word);
    return event(visitor_.directory_begin({path_, last_name()}));
  }
  return bad(error(NarError::unexpected_token, "needs \"regular\", \"symlink\" or \"directory\""),
             string_at_);
}

Result<> NarReader::file_word(std::string_view word) {
  if (word == "contents") {
    state_ = State::contents_length;
    return {};
  }
  if (word == "executable") {
    executable_ = true;
    expect(encoded<"", "contents">(), State::contents_length);
    return {};
  }
  return bad(error(NarError::unexpected_token, "needs \"contents\" or \"executable\""), string_at_);
}

Result<> NarReader::contents_length(std::uint64_t length) {
  if (offset_ > limit_ || length > limit_ - offset_) {
    return bad(error(NarError::length_out_of_range, "contents of {} bytes", length), offset_ - 8);
  }
  rest_ = length;
  state_ = length > 0 ? State::contents : State::contents_padding;
  return event(visitor_.file_begin({path_, last_name(), executable_, length, offset_}));
}

Result<> NarReader::target(std::string_view target) {
  if (!nar_grammar::is_valid_target(target)) {
    return bad(Error(NarError::invalid_target), string_at_);
  }
  end_object();
  return event(visitor_.symlink({path_, last_name(), target, string_at_ + 8}));
}

Result<> NarReader::directory_word(std::string_view word) {
  if (word == "entry") {
    if (depth_ == kMaxNarDepth) {
      return bad(error(NarError::too_deep, "more than {} levels", kMaxNarDepth), offset_);
    }
    expect(encoded<"(", "name">(), State::string_length, What::name);
    return {};
  }
  if (word == ")") {
    path_.resize(levels_[--depth_].path_size);
    // Its own ")" is taken already.
    if (depth_ == 0) {
      state_ = State::end;
    } else {
      expect(encoded<")">(), State::string_length, What::directory_word);
    }
    return event(visitor_.directory_end());
  }
  return bad(error(NarError::unexpected_token, "needs \"entry\" or \")\""), string_at_);
}

Result<> NarReader::name(std::string_view name) {
  Level& level = levels_[depth_ - 1];
  const bool has_previous = std::exchange(level.has_entries, true);
  const std::string_view previous = has_previous ? last_name() : std::string_view();
  NarError problem;
  if (!nar_grammar::is_valid_name(name)) {
    problem = NarError::invalid_name;
  } else if (has_previous && name == previous) {
    problem = NarError::duplicate_name;
  } else if (has_previous && name < previous) {
    problem = NarError::unsorted_names;
  } else {
    path_.resize(level.path_size);
    if (depth_ > 1) path_ += '/';
    path_ += name;
    expect(encoded<"node", "(", "type">(), State::string_length, What::type);
    return {};
  }
  path_.resize(level.path_size);
  return fail(error(problem)
                  .with_subject("name", name)
                  .with_subject("folder", path_)
                  .with_offset(string_at_));
}

// The visitor's answer to an event.
Result<> NarReader::event(const Result<>& result) {
  if (result && visitor_.has_enough()) state_ = State::stopped;
  return result;
}

void NarReader::expect(std::string_view words, State after, What what) {
  state_ = State::words;
  words_ = words;
  matched_ = 0;
  after_ = after;
  what_ = what;
}

void NarReader::expect_string(What what) {
  state_ = State::string_length;
  what_ = what;
}

// After a file or symlink: its ")", and that of the entry it is in.
void NarReader::end_object() {
  if (depth_ == 0) {
    expect(encoded<")">(), State::end);
  } else {
    expect(encoded<")", ")">(), State::string_length, What::directory_word);
  }
}

std::string_view NarReader::last_name() const {
  return std::string_view(path_).substr(path_.rfind('/') + 1);
}

std::unexpected<Error> NarReader::bad(Error made, std::uint64_t offset) const {
  if (!path_.empty()) made.with_subject("entry", path_);
  return fail(made.with_offset(offset));
}

Result<> read_nar(ByteSource& source, NarVisitor& visitor, const NarReaderOptions& options) {
  NarReader reader(visitor, options);
  Buffer buffer;
  buffer.resize(kReadSize);
  while (!reader.stopped()) {
    const std::size_t n = CLEAVE_TRY(source.read(buffer.span()));
    if (n == 0) break;
    CLEAVE_TRY(reader.feed(buffer.span().first(n)));
  }
  return reader.finish();
}

Result<> read_nar(ByteSpan nar, NarVisitor& visitor) {
  NarReader reader(visitor, {.total_size = nar.size()});
  CLEAVE_TRY(reader.feed(nar));
  return reader.finish();
}

}  // namespace cleave
