#include "cleave/chunk/chunk_pipeline.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "cleave/base/internal/fail.h"
#include "cleave/base/pipeline.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/codec/zstd.h"

namespace cleave {

namespace {

// Chunks travel in groups of about this size, so that small ones cost no more than large ones.
constexpr std::size_t kGroupBytes = std::size_t{1} << 20;
constexpr std::size_t kGroupsPerThread = 3;
constexpr std::size_t kMaxGroupsPerThread = 64;

struct Group {
  std::vector<ProcessedChunk> chunks;
  // What is wrong with the chunk behind these.
  std::optional<Error> failure;
  Buffer frame;
  Buffer frames;
  std::vector<std::size_t> frame_sizes;
};

}  // namespace

class ChunkPipeline::Implementation {
 public:
  Implementation(const PipelineOptions& options, const FastCdc& fastcdc)
      : options_(options), fastcdc_(fastcdc) {
    if (options_.executor == nullptr) {
      own_executor_ = make_executor(options_.threads);
      options_.executor = own_executor_.get();
    }
    const std::size_t threads = options_.executor->concurrency();
    const std::size_t wanted = options_.max_in_flight == 0 ? kGroupsPerThread * threads
                                                           : options_.max_in_flight / kGroupBytes;
    groups_.resize(std::clamp<std::size_t>(wanted, 1, kMaxGroupsPerThread * threads));
  }

  template <class Source>
  Result<> run(Source& source, Sink sink) {
    ChunkStream stream(source, fastcdc_, options_.buffers);
    const auto from_stream = [&](Group& group) { return take(stream, group); };
    const auto hashed = [&](Group& group) -> Result<> {
      for (std::size_t i = 0; i < group.chunks.size(); ++i) {
        ProcessedChunk& item = group.chunks[i];
        item.hash = hash(options_.algorithm, item.chunk.payload);
        if (auto whole = item.chunk.payload.check(); !whole) return end_at(group, i, whole);
      }
      return {};
    };
    const auto compressed = [&](Group& group) { return compress(group); };
    const auto in_order = [&](Group& group) { return pass_on(group, sink); };
    const std::array<Stage<Group>, 3> stages = {{{StageOrder::parallel, hashed},
                                                 {StageOrder::parallel, compressed},
                                                 {StageOrder::serial, in_order}}};
    const Result<> done = run_pipeline<Group>(*options_.executor, groups_, from_stream, stages);
    for (Group& group : groups_) group.chunks.clear();  // lets go of the stream's memory
    return done;
  }

 private:
  Result<bool> take(ChunkStream& stream, Group& group) {
    if (options_.progress != nullptr) CLEAVE_TRY(options_.progress->check());
    group.chunks.clear();
    group.failure.reset();
    for (std::size_t size = 0; size < kGroupBytes;) {
      auto chunk = stream.next();
      if (!chunk) {
        group.failure = chunk.error();
        break;
      }
      std::optional<Chunk>& found = *chunk;
      if (!found) break;
      size += found->payload.size();
      group.chunks.push_back({*std::move(found), {}, {}});
    }
    return !group.chunks.empty() || group.failure;
  }

  // The chunks before the one that failed are still passed on, and then the error.
  static Result<> end_at(Group& group, std::size_t failed, const Result<>& why) {
    group.chunks.resize(failed);
    group.failure = why.error();
    return {};
  }

  Result<> compress(Group& group) {
    if (!options_.zstd_level) return {};
    group.frames.clear();
    group.frame_sizes.clear();
    for (std::size_t i = 0; i < group.chunks.size(); ++i) {
      const Bytes& payload = group.chunks[i].chunk.payload;
      Result<> done = zstd_compress_into(payload, *options_.zstd_level, group.frame);
      if (done) done = payload.check();
      if (!done) {
        CLEAVE_TRY(end_at(group, i, done));
        break;
      }
      group.frames.append(group.frame.span());
      group.frame_sizes.push_back(group.frame.size());
    }
    ByteSpan rest = std::as_const(group.frames).span();
    for (std::size_t i = 0; i < group.chunks.size(); ++i) {
      group.chunks[i].compressed = rest.first(group.frame_sizes[i]);
      rest = rest.subspan(group.frame_sizes[i]);
    }
    return {};
  }

  Result<> pass_on(Group& group, Sink sink) {
    for (const ProcessedChunk& item : group.chunks) {
      CLEAVE_TRY(sink(item));
      if (options_.progress != nullptr) options_.progress->advance(item.chunk.payload.size());
    }
    group.chunks.clear();
    if (group.failure) return fail(*group.failure);
    return {};
  }

  PipelineOptions options_;
  FastCdc fastcdc_;
  std::unique_ptr<Executor> own_executor_;
  std::vector<Group> groups_;
};

ChunkPipeline::ChunkPipeline(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ChunkPipeline::~ChunkPipeline() = default;
ChunkPipeline::ChunkPipeline(ChunkPipeline&&) noexcept = default;
ChunkPipeline& ChunkPipeline::operator=(ChunkPipeline&&) noexcept = default;

Result<> ChunkPipeline::run(ByteSource& source, Sink sink) {
  return implementation_->run(source, sink);
}

Result<> ChunkPipeline::run(BlockSource& source, Sink sink) {
  return implementation_->run(source, sink);
}

PipelineBuilder& PipelineBuilder::chunking(const ChunkingOptions& chunking) {
  options_.chunking = chunking;
  return *this;
}
PipelineBuilder& PipelineBuilder::hash(HashAlgorithm algorithm) {
  options_.algorithm = algorithm;
  return *this;
}
PipelineBuilder& PipelineBuilder::compress(int zstd_level) {
  options_.zstd_level = zstd_level;
  return *this;
}
PipelineBuilder& PipelineBuilder::max_in_flight(std::size_t bytes) {
  options_.max_in_flight = bytes;
  return *this;
}
PipelineBuilder& PipelineBuilder::buffers(const BufferOptions& buffers) {
  options_.buffers = buffers;
  return *this;
}
PipelineBuilder& PipelineBuilder::executor(Executor& executor) {
  options_.executor = &executor;
  return *this;
}
PipelineBuilder& PipelineBuilder::threads(std::size_t threads) {
  options_.threads = threads;
  return *this;
}
PipelineBuilder& PipelineBuilder::progress(Progress& progress) {
  options_.progress = &progress;
  return *this;
}

Result<ChunkPipeline> PipelineBuilder::build() const {
  const FastCdc fastcdc = CLEAVE_TRY(FastCdc::create(options_.chunking));
  return ChunkPipeline(std::make_unique<ChunkPipeline::Implementation>(options_, fastcdc));
}

}  // namespace cleave
