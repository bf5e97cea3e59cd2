#include "cleave/store/internal/pack_files.h"

#include <fcntl.h>

#include "cleave/base/internal/fail.h"
#include "cleave/codec/zstd.h"
#include "cleave/hash/blake3.h"
#include "cleave/observe/metrics.h"
#include "cleave/store/store_error.h"

namespace cleave {

namespace {

constexpr std::size_t kMaxOpenFiles = 64;
// What is written at once, of small records.
constexpr std::size_t kWriteSize = std::size_t{4} << 20;

SpanSite read_span("store.read_pack");
SpanSite decompress_span("store.decompress");
SpanSite check_span("store.verify");
SpanSite write_span("store.write_pack");
SpanSite sync_span("store.sync_pack");

}  // namespace

std::filesystem::path PackFiles::path_of(std::uint32_t pack) const {
  return directory_ / fmt::format("{:010}.pack", pack);
}

Error PackFiles::damaged(std::uint32_t pack, std::uint64_t offset, const char* what) const {
  return error(StoreError::pack_damaged, "{}", what)
      .with_offset(offset)
      .with_subject("path", path_of(pack).native());
}

Result<PackFiles::OpenFile> PackFiles::open(std::uint32_t pack) {
  const std::lock_guard lock(mutex_);
  if (const auto known = open_.find(pack); known != open_.end()) return known->second;
  auto fd = open_file(path_of(pack), O_RDONLY);
  if (!fd) {
    if (fd.error().os_error() == ENOENT) return fail(damaged(pack, 0, "the file is missing"));
    return fail(fd.error());
  }
  if (open_.size() >= kMaxOpenFiles) open_.erase(open_.begin());
  return open_[pack] = std::make_shared<const FileDescriptor>(*std::move(fd));
}

void PackFiles::close(std::uint32_t pack) {
  const std::lock_guard lock(mutex_);
  open_.erase(pack);
}

Result<> PackFiles::read_record(const Digest& id, const ChunkPlace& place, Buffer& record) {
  Span span(read_span, place.record_size());
  const OpenFile file = CLEAVE_TRY(open(place.pack));
  record.clear();
  record.resize(place.record_size());
  const auto read = read_exact_at(file->get(), record.span(), place.offset, path_of(place.pack));
  if (!read) {
    if (!read.error().is(IoError::unexpected_end)) return read;
    return fail(damaged(place.pack, place.offset, "the file ends within a chunk"));
  }
  const auto header = parse_record_header(record.span().first(kRecordHeaderSize));
  const bool expected = header && header->id == id && header->size == place.size &&
                        header->stored_size == place.stored_size &&
                        header->stored_as == place.stored_as;
  if (!expected) return fail(damaged(place.pack, place.offset, "a chunk's header"));
  return {};
}

Result<> PackFiles::read_chunk(const Digest& id, const ChunkPlace& place, Buffer& record,
                               MutableByteSpan out) {
  CLEAVE_TRY(read_record(id, place, record));
  const ByteSpan payload = record.span().subspan(kRecordHeaderSize);
  if (place.stored_as == StoredAs::raw) {
    if (payload.size() != out.size()) return fail(damaged(place.pack, place.offset, "a chunk"));
    std::ranges::copy(payload, out.begin());
  } else {
    Span span(decompress_span, out.size());
    if (!zstd_decompress_into(payload, out)) {
      return fail(damaged(place.pack, place.offset, "a chunk does not decompress"));
    }
  }
  Span span(check_span, out.size());
  if (blake3(out) != id) {
    return fail(damaged(place.pack, place.offset, "a chunk's bytes are not those of its id"));
  }
  return {};
}

Result<> PackFiles::check_chunk(const Digest& id, const ChunkPlace& place, Buffer& record,
                                MutableByteSpan out) {
  CLEAVE_TRY(read_chunk(id, place, record, out));
  const auto header = parse_record_header(record.span().first(kRecordHeaderSize));
  const ByteSpan payload = record.span().subspan(kRecordHeaderSize);
  if (!header || header->check != payload_check(id, place.stored_as, payload)) {
    return fail(damaged(place.pack, place.offset, "a chunk's stored bytes have changed"));
  }
  return {};
}

Result<> PackFiles::check_file(std::uint32_t pack, std::uint64_t committed_size) {
  const OpenFile file = CLEAVE_TRY(open(pack));
  const FileInfo info = CLEAVE_TRY(file_info(file->get(), path_of(pack)));
  if (info.size < committed_size) {
    return fail(damaged(pack, info.size, "the file is shorter than what was committed"));
  }
  Buffer header;
  header.resize(kPackHeaderSize);
  CLEAVE_TRY(read_exact_at(file->get(), header.span(), 0, path_of(pack)));
  if (!is_pack_header(header.span(), pack)) return fail(damaged(pack, 0, "the file's header"));
  return {};
}

Result<> PackAppender::open_newest() {
  const std::uint64_t next = CLEAVE_TRY(peek_number(txn_, Series::pack));
  const auto newest = static_cast<std::uint32_t>(next - 1);
  const auto state = CLEAVE_TRY(find_pack(txn_, newest));
  if (!state || state->retired || state->size >= target_size_) return start_new();
  // Never append behind a hole.
  CLEAVE_TRY(files_.check_file(newest, state->size));
  fd_ = CLEAVE_TRY(open_file(files_.path_of(newest), O_WRONLY));
  pack_ = newest;
  size_ = state->size;
  return {};
}

Result<> PackAppender::start_new() {
  pack_ = static_cast<std::uint32_t>(CLEAVE_TRY(next_number(txn_, Series::pack)));
  const std::filesystem::path path = files_.path_of(pack_);
  // The number was never committed: what may stand there is left from a writer that was killed.
  files_.close(pack_);
  fd_ = CLEAVE_TRY(open_file(path, O_WRONLY | O_CREAT));
  Buffer header;
  append_pack_header(pack_, header);
  CLEAVE_TRY(write_all_at(fd_.get(), header.span(), 0, path));
  size_ = kPackHeaderSize;
  created_ = true;
  return {};
}

Result<PackAppender::Position> PackAppender::append(ByteSpan records) {
  if (!fd_.is_open()) CLEAVE_TRY(open_newest());
  if (size_ >= target_size_) {
    CLEAVE_TRY(sync());
    CLEAVE_TRY(start_new());
  }
  const Position position{pack_, size_};
  if (gathered_.size() + records.size() > kWriteSize) CLEAVE_TRY(write_gathered());
  if (records.size() >= kWriteSize) {
    Span span(write_span, records.size());
    CLEAVE_TRY(write_all_at(fd_.get(), records, size_, files_.path_of(pack_)));
  } else {
    gathered_.append(records);
  }
  size_ += records.size();
  return position;
}

Result<> PackAppender::write_gathered() {
  Span span(write_span, gathered_.size());
  const std::uint64_t offset = size_ - gathered_.size();
  CLEAVE_TRY(write_all_at(fd_.get(), gathered_.span(), offset, files_.path_of(pack_)));
  gathered_.clear();
  return {};
}

Result<> PackAppender::sync() {
  if (!fd_.is_open()) return {};
  CLEAVE_TRY(write_gathered());
  Span span(sync_span);
  CLEAVE_TRY(sync_data(fd_.get(), files_.path_of(pack_)));
  if (created_) CLEAVE_TRY(sync_directory(files_.directory()));
  created_ = false;
  return put_pack(txn_, pack_, {.size = size_});
}

}  // namespace cleave
